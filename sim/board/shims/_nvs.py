from _link import call


class NVS:
    def __init__(self, namespace):
        self._namespace = namespace

    def set_i32(self, key, value):
        call("nvs_set", self._namespace, key, int(value))

    def get_i32(self, key):
        return call("nvs_get_i32", self._namespace, key)

    def set_blob(self, key, value):
        call("nvs_set", self._namespace, key, bytes(value))

    def get_blob(self, key, buffer):
        value = call("nvs_get_blob", self._namespace, key, len(buffer))
        buffer[: len(value)] = value
        return len(value)

    def erase_key(self, key):
        call("nvs_erase", self._namespace, key)

    def commit(self):
        call("nvs_commit")
