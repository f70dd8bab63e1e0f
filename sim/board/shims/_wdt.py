from _link import call


class WDT:
    def __init__(self, id=0, timeout=5000):
        call("wdt", id, timeout)

    def feed(self):
        call("wdt_feed")
