"""The button's files: who it is (`identity.json`) and how it is set (`config.json`, `direct.json`).

A value of `config.json` that is missing is its default; one that is wrong is its default too,
and the button says so in *state*. Without an identity it is no button: ValueError. Without
`direct.json`, or where that says `off`, nothing of the direct path is imported.

File names here and in memory.py are relative: MicroPython starts in the root of its flash, which is
/ on an ESP32 and /flash on Zephyr's port.
"""

import binascii
import json

IDENTITY_FILE = "identity.json"
CONFIG_FILE = "config.json"
DIRECT_FILE = "direct.json"

# For so long a prompt stays before the button takes the board back, where the board has a watchdog.
PROMPT_MS = 300_000

# name: (default, least, most). Pins as the board's file numbers them; these are the generic ESP32's, and
# each board has its own defaults.
SETTINGS = {
    "hold_ms": (2000, 500, 10000),
    "click_ms": (500, 100, 1000),
    "clicks_ms": (2000, 1000, 5000),
    "stuck_ms": (60000, 15000, 600000),
    "quiet": (0, 0, 1),
    "alive_period_s": (900, 60, 86400),
    "battery_low_mv": (3400, 2000, 5000),
    "button_gpio": (33, 0, 48),
    "motor_gpio": (25, 0, 48),
    "battery_gpio": (35, 0, 48),
}


class Identity:
    """Who a button is: its name, the root of its keys, and which provisioning they are of."""

    def __init__(self, device_id: str, root: bytes, epoch: int) -> None:
        self.device_id = device_id
        self.root = root
        self.epoch = epoch


def load_identity(path: str = IDENTITY_FILE) -> Identity:
    """Return who this button is; raises ValueError where the file is missing or damaged."""
    try:
        with open(path) as file:
            data = json.load(file)
        identity = Identity(data["device_id"], binascii.unhexlify(data["root"]), data["epoch"])
    except (OSError, KeyError, TypeError, ValueError):
        raise ValueError("not provisioned") from None
    if len(identity.root) != 32 or not isinstance(identity.epoch, int):
        raise ValueError("not provisioned")
    return identity


def load_settings(pins: dict[str, int], path: str = CONFIG_FILE) -> tuple[dict[str, int], bool]:
    """Return `(settings, defaulted)`: every setting, and whether a wrong value was replaced.

    `pins`: the board's defaults for those of its pins that are not SETTINGS'.
    """
    settings = {name: bounds[0] for name, bounds in SETTINGS.items()}
    settings.update(pins)
    try:
        with open(path) as file:
            data = json.load(file)
    except OSError:
        return settings, False
    except ValueError:
        return settings, True
    if not isinstance(data, dict):
        return settings, True
    defaulted = False
    for name, value in data.items():
        bounds = SETTINGS.get(name)
        if bounds and isinstance(value, int) and bounds[1] <= value <= bounds[2]:
            settings[name] = value
        else:
            defaulted = True
    if settings["button_gpio"] == settings["motor_gpio"]:  # it would press itself, or never be heard
        for name in ("button_gpio", "motor_gpio"):
            settings[name] = pins.get(name, SETTINGS[name][0])
        defaulted = True
    return settings, defaulted


def load_direct(settings: dict[str, int], path: str = DIRECT_FILE):  # type: ignore[no-untyped-def]
    """Return `(direct, defaulted)`: a `DirectSettings` or None, and whether a wrong value was found.

    `settings`: of this button; their pins are in use.
    """
    try:
        with open(path) as file:
            data = json.load(file)
    except OSError:
        return None, False
    except ValueError:
        return None, True
    if isinstance(data, dict) and data.get("profile") == "off":
        return None, False
    from firmware.board import direct_config

    pins = {value for name, value in settings.items() if name.endswith("_gpio")}
    return direct_config.load(data, pins)
