"""The bridge's settings: what is wrong names itself, its place and what is allowed."""

from pathlib import Path

import pytest

from bridge.settings import Settings, SettingsError, load, override, render, settle

ROOT = Path(__file__).resolve().parents[3]


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_without_a_file_everything_has_its_default(tmp_path: Path) -> None:
    """Nobody must write one."""
    assert load(tmp_path / "config.toml") == Settings()


def test_what_is_printed_is_what_is_read(tmp_path: Path) -> None:
    """`amr-bridge config` documents itself, and its output is a valid file."""
    config = override(
        Settings(),
        [
            'centre.addresses=["https://b.example:8443/", "https://[::1]:1"]',
            "position.sources=['nmea', 'fixed']",
            "position.fixed=50.85,4.35,25",
            'page.name="Été \\"2\\" \\\\ ✓"',
            "page.language=nl",
            "supervision.notify=false",
            "metrics.port=9100",
        ],
    )
    assert load(written(tmp_path, render(config))) == config
    assert config.centre_addresses == ("https://b.example:8443", "https://[::1]:1")
    assert config.position_sources == ("nmea", "fixed")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("[page]\nprot = 1", ["page.prot", "page.port was meant"]),
        ("[pages]\nport = 1", ["pages.port", "page.port was meant"]),
        ("port = 1", ["port", "page.port or metrics.port was meant"]),
        ("[position]\nspeed = 1", ["position.speed", "position.gpsd"]),
        ("[zzz]\nqqq = 1", ["zzz.qqq", "log.format"]),
        ("[page]\nport = '8437'", ["page.port", "1024 to 65535", '"8437"']),
        ("[page]\nport = 80", ["page.port", "1024 to 65535", "80"]),
        ("[page]\nport = true", ["page.port", "true"]),
        ("[page.port]\nx = 1", ["page.port", "1024"]),
        ("[page]\nname = ''", ["page.name", "1 to 20"]),
        ("[page]\nname = 'a\\u0007'\n[page]", ["not TOML", "line 3"]),
        ('[page]\nname = "a\\u0007"', ["page.name", "printable"]),
        ("[position]\nfollow_every_s = 4", ["follow_every_s", "5 to 300", "4"]),
        ("[position]\nfollow_every_s = 10.0", ["follow_every_s", "10.0"]),
        ("[position]\nsources = 'gpsd'", ["position.sources", "gpsd, nmea, geoclue, gpx, fixed"]),
        ("[position]\nsources = ['gps']", ["position.sources", "gps"]),
        ("[position]\nsources = ['gpsd', 'gpsd']", ["position.sources", "at most once"]),
        ("[position]\nsources = [1]", ["position.sources"]),
        ("[position]\ngpsd = 'localhost'", ["position.gpsd", "HOST:PORT"]),
        ("[position]\ngpsd = 'localhost:99999'", ["position.gpsd", "HOST:PORT"]),
        ("[position]\nnmea = '/dev/ttyS0@fast'", ["position.nmea", "DEVICE@BAUD"]),
        ("[position]\nfixed = '91,0,5'", ["position.fixed", "LAT,LON,RADIUS_M"]),
        ("[centre]\naddresses = ['http://a.example']", ["centre.addresses", "https"]),
        ("[centre]\naddresses = ['https://user:word@a.example']", ["centre.addresses"]),
        ("[centre]\naddresses = ['https://']", ["centre.addresses"]),
        ("[radio]\nscan = 'loud'", ["radio.scan", "auto, active or passive"]),
        ("[radio]\nadapter = 'usb0'", ["radio.adapter", "hci0 to hci99, or an address"]),
        ("[log]\nformat = 1979-05-27", ["log.format", "1979-05-27"]),
        ("[log]\nformat = nan", ["log.format", "text or json"]),
        ("x = " + "[" * 5000, ["not TOML"]),
        ("[", ["not TOML"]),
    ],
)
def test_a_mistake_names_file_key_and_what_is_allowed(tmp_path: Path, text: str, names: list[str]) -> None:
    """One sentence, of one line."""
    path = written(tmp_path, text)
    with pytest.raises(SettingsError) as caught:
        load(path)
    said = str(caught.value)
    assert str(path) in said
    assert "\n" not in said
    for name in names:
        assert name in said, said


def test_files_that_are_no_settings_are_sentences(tmp_path: Path) -> None:
    """Too long, not text, a folder."""
    path = tmp_path / "config.toml"
    path.write_bytes(b"#" * 70_000)
    with pytest.raises(SettingsError, match="larger than 64 KiB"):
        load(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError, match="not UTF-8"):
        load(path)
    with pytest.raises(SettingsError, match="cannot read"):
        load(tmp_path)


def test_a_flag_overrides_and_says_which_one_was_wrong() -> None:
    """`--set KEY=VALUE`: TOML where it is TOML, else the text as it is."""
    assert override(Settings(), ["position.nmea=/dev/ttyS0@4800"]).position_nmea == "/dev/ttyS0@4800"
    assert override(Settings(), ["page.port=0", "page.port=9000"]).page_port == 9000
    for wrong in ("page.port", "page.port=x", "page.port=1\nlog.format='json'"):
        with pytest.raises(SettingsError, match="--set"):
            override(Settings(), [wrong])


def test_a_source_that_is_named_needs_its_place(tmp_path: Path) -> None:
    """A path counts from the home, so that a service finds it wherever it was started."""
    for source in ("gpx", "fixed"):
        config = override(Settings(), [f"position.sources=['{source}']"])
        with pytest.raises(SettingsError, match=rf"position\.{source} must be set"):
            settle(config, tmp_path)
    walk = override(Settings(), ["position.gpx=walk.gpx"])
    assert settle(walk, tmp_path).position_gpx == str(tmp_path / "walk.gpx")
