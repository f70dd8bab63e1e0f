"""How a phone's system listens, whatever the app that scans would like: named profiles, each with its source.

Pure. What a system's maker does not publish is marked *assumed*.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Duty:
    """A scanner listens for `window_us` at the start of every `interval_us`, on one channel per interval."""

    window_us: int
    interval_us: int

    def __post_init__(self) -> None:
        if not 0 < self.window_us <= self.interval_us:
            raise ValueError("a scan window is more than nothing and fits in its interval")

    @property
    def share(self) -> float:
        """Of the time in which it listens."""
        return self.window_us / self.interval_us


@dataclass(frozen=True)
class ScanProfile(Duty):
    """`listed`: it hands over only adverts whose service UUID the app has listed beforehand.

    `lingers`: as a central it answers nobody who lets it go, and asks for the longest supervision timeout.
    """

    listed: bool = False
    lingers: bool = False


PROFILES: dict[str, ScanProfile] = {
    # Linux 6, net/bluetooth/hci_core.h. Active discovery: DISCOV_LE_SCAN_INT and _WIN, 0x12 x 0.625 ms.
    "desktop": ScanProfile(11_250, 11_250),
    # A stranger's: the link lasts to its supervision timeout, up to 32 s (Core 6.0, Vol 6, Part B, 4.5.2).
    "desktop-lingering": ScanProfile(11_250, 11_250, lingers=True),
    # Passive, by an AdvertisementMonitor: DISCOV_LE_SCAN_INT_FAST 0x60, DISCOV_LE_SCAN_WIN_FAST 0x30.
    "bluez-passive": ScanProfile(30_000, 60_000),
    # The machine is suspended: DISCOV_LE_SCAN_INT_SLOW1 0x800, DISCOV_LE_SCAN_WIN_SLOW1 0x12.
    "bluez-suspended": ScanProfile(11_250, 1_280_000),
    # AOSP, ScanManager: SCAN_MODE_LOW_LATENCY, _BALANCED, _LOW_POWER, and SCAN_MODE_SCREEN_OFF_LOW_POWER.
    "android-low-latency": ScanProfile(100_000, 100_000),
    "android-balanced": ScanProfile(183_000, 730_000),
    "android-low-power": ScanProfile(140_000, 1_400_000),
    "android-sleeping": ScanProfile(512_000, 10_240_000),
    # Apple publishes no window. "Accessory Design Guidelines for Apple Devices", Bluetooth LE, Advertising
    # Interval: 20 ms for at least 30 s, then 152.5 ms and longer. *Assumed*: 30 of 40 ms.
    "ios-foreground": ScanProfile(30_000, 40_000),
    # "Core Bluetooth Programming Guide", Background Processing: services must be listed, repeats are one
    # event, and the scan interval grows. *Assumed*: 30 of 300 ms, which finds each of the guidelines'
    # intervals in the end. How long the app then takes to be woken is not known and not in here.
    "ios-background": ScanProfile(30_000, 300_000, listed=True),
    # The same stack, mains-powered: *assumed* as on an iPhone's screen.
    "macos": ScanProfile(30_000, 40_000),
}
