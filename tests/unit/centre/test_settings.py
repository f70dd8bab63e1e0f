"""What can be set: the command line, the file and the defaults agree."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from centre import settings
from centre.commands import main
from centre.settings import Settings, SettingsError, load, settle

EVERY: dict[str, Any] = {
    "host": "::1",
    "port": 0,
    "cert": "cert.pem",
    "key": "/etc/key.pem",
    "direct-port": 443,
    "time-zone": "Europe/Brussels",
    "address": ["https://192.0.2.7", "https://centre.example:1"],
    "public-url": "https://centre.example/",
    "alive-s": 10,
    "signs-per-s": 1,
    "connections": 999_999,
    "test-every-days": 3650,
    "escalate-s": 600,
    "undo-close-s": 60,
    "keep-positions-days": 1,
    "keep-incidents-days": 2,
    "keep-losses-days": 3,
    "keep-sessions-days": 4,
    "webhook": "https://dispatch.example/hook?a=b",
    "webhook-ca": "dispatch.pem",
    "oidc-issuer": "https://idp.example/realm",
    "oidc-client-id": "amr",
    "oidc-claim": "login",
    "oidc-acr": ["mfa"],
    "oidc-amr": ["otp", "hwk"],
    "oidc-ca": "idp.pem",
    "tiles": "town.pmtiles",
    "tiles-by": "Town of Example",
    "json-log": True,
}


def config(folder: Path, values: dict[str, Any]) -> Path:
    """Write a file of settings; JSON's values are TOML's."""
    file = folder / settings.CONFIG
    file.write_text("".join(f"{json.dumps(name)} = {json.dumps(value)}\n" for name, value in values.items()))
    return file


def test_every_setting_can_stand_in_the_file(tmp_path: Path) -> None:
    """None is left out; a path is from the file's folder on, an address loses its last slash."""
    assert set(EVERY) == {name for name, _, _ in settings.declared()}
    values = load(config(tmp_path, EVERY))
    found = settle(values)
    assert (found.cert, found.key) == (str(tmp_path / "cert.pem"), "/etc/key.pem")
    assert (found.public_url, found.oidc_amr) == ("https://centre.example", ("otp", "hwk"))
    assert (found.tiles, found.json_log) == (str(tmp_path / "town.pmtiles"), True)
    assert all(getattr(found, name) != getattr(Settings(), name) for name in values)


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"alive": 60}, "there is no setting alive; is alive-s meant?"),
        ({"alive-s": 9}, "alive-s: it is 10 to 900 seconds"),
        ({"alive-s": "60"}, "alive-s: it is 10 to 900 seconds"),
        ({"alive-s": True}, "alive-s: it is 10 to 900 seconds"),
        ({"address": "https://centre.example"}, "address: it is https://HOST"),
        ({"address": ["http://centre.example"]}, "address: it is https://HOST"),
        ({"json-log": 1}, "json-log: it is true or false"),
        ({"serve": {"port": 1}}, "there is no setting serve"),
    ],
)
def test_a_mistake_in_the_file_is_one_sentence(
    tmp_path: Path, values: dict[str, Any], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the file, the setting and what is allowed; exit code 2, and nothing is served."""
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    if "serve" in values:
        file = home / settings.CONFIG
        file.write_text("[serve]\nport = 1\n")
    else:
        file = config(home, values)
    assert main(["serve", "--home", str(home)]) == 2
    sentence = capsys.readouterr().err
    assert sentence.startswith(f"amr-centre: {file}: ")
    assert why in sentence


@pytest.mark.parametrize(
    "values",
    [{"cert": "x"}, {"key": "x"}, {"oidc_issuer": "x"}, {"oidc_client_id": "x"}, {"webhook_ca": "x"}],
)
def test_what_goes_together_is_asked_for_together(values: dict[str, Any]) -> None:
    """Half of it would be no certificate, no provider, no webhook."""
    with pytest.raises(SettingsError):
        settle(values)


def test_a_file_that_was_named_must_be_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Else its settings would be forgotten silently."""
    assert main(["serve", "--home", str(tmp_path / "home"), "--config", str(tmp_path / "none")]) == 2
    assert "there is no" in capsys.readouterr().err


@given(
    value=st.one_of(
        st.integers(),
        st.text(),
        st.booleans(),
        st.floats(allow_nan=False),
        st.none(),
        st.lists(st.text(), max_size=2),
    )
)
def test_no_value_breaks_a_reader(value: object) -> None:
    """It is taken, or it is a ValueError: of every setting."""
    for _, rule, _ in settings.declared():
        try:
            rule.read(value)
        except ValueError:
            continue
