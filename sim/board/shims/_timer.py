from _link import call, handlers

_timers = {}


class Timer:
    ONE_SHOT = 0
    PERIODIC = 1

    def __init__(self, id=-1, **kwargs):
        if not -1 <= id <= 3:
            raise ValueError("invalid Timer number")
        if id < 0:  # a virtual one: any number beyond the four in the chip
            id = 4
            while id in _timers:
                id += 1
        self._id = id
        if kwargs:
            self.init(**kwargs)

    def init(self, *, mode=1, period=-1, freq=None, callback=None, hard=False):
        self._mode, self._callback = mode, callback
        _timers[self._id] = self
        call("timer", self._id, max(1, int(1000 / freq) if freq else period), mode == Timer.PERIODIC)

    def deinit(self):
        if _timers.pop(self._id, None):
            call("timer", self._id, 0, False)


def _tick(event):
    timer = _timers.get(event[1])
    if timer:
        if timer._mode == Timer.ONE_SHOT:
            del _timers[timer._id]
        if timer._callback:
            timer._callback(timer)


handlers["t"] = _tick
