"""The check at the start of a shift: real HTTPS, real codes, real proofs, an operator who confirms."""

import asyncio
from pathlib import Path

import pytest

from centre.work import administration, buttons, exercises
from tests.integration.parts import Served, run, served
from tests.unit.centre.parts import Phone, core_at


async def operator_at(running: Served, phone: Phone) -> None:
    await phone.ask("GET", running.console_url.removeprefix(phone.url))


async def received(running: Served) -> str:
    """Return the incident of the next alarm, by the log."""
    while (line := await running.next_line())["what"] != "received":
        pass
    assert line["exercise"] is True
    return str(line["incident"])


@pytest.mark.parametrize(
    ("sound", "code", "says"),
    [("heard", 0, "seen and heard by Operator after"), ("silent", 1, "Operator saw it after")],
)
async def test_a_test_alarm_goes_through_the_whole_chain_and_is_confirmed(
    tmp_path: Path, sound: str, code: int, says: str
) -> None:
    """Twice: the second time the button is there already."""
    async with served(tmp_path) as (running, phone):
        await operator_at(running, phone)
        for _ in range(2):
            checking = asyncio.create_task(
                run("check", "--home", tmp_path, "--zone", "5340", "--url", phone.url)
            )
            incident_id = await received(running)
            assert "EXERCISE" in (await phone.ask("GET", f"/console/incidents/{incident_id}/sheet"))[1]
            path = f"/console/incidents/{incident_id}/checked"
            status, answer = await phone.ask("POST", path, data={"sound": sound})
            assert (status, answer["stage"], answer["taken_now"]) == (200, 4, True)
            ended, out, error = await checking
            assert ended == code, error
            assert says in out + error
            assert "the button has the proof of CLOSED" in out
    core = core_at(tmp_path)
    assert len(exercises.check_buttons(core)) == 1


async def test_nobody_at_a_desk_is_a_failure_and_the_alarm_stays(tmp_path: Path) -> None:
    """Exit code 1, and a sentence."""
    async with served(tmp_path) as (_, phone):
        options = ("--zone", "5340", "--url", phone.url, "--wait", 1)
        code, out, error = await run("check", "--home", tmp_path, *options)
    assert (code, error) == (1, "amr-centre: nobody has confirmed within 1 s: is anybody at a desk?\n")
    assert "is stored" in out


async def test_a_centre_that_is_not_there_is_a_failure_with_a_sentence(tmp_path: Path) -> None:
    """And so is the next one, that is there, with the button that was made in vain."""
    core_at(tmp_path)
    options = ("--zone", "5340", "--wait", 1)
    code, out, error = await run("check", "--home", tmp_path, *options, "--url", "https://localhost:1")
    assert (code, out) == (1, "")
    assert error.startswith("amr-centre: NO TEST ALARM: https://localhost:1 cannot be reached: ")
    async with served(tmp_path) as (_, phone):
        code, out, _ = await run("check", "--home", tmp_path, *options, "--url", phone.url)
    assert (code, "is stored" in out) == (1, True)


async def test_a_check_button_that_was_revoked_is_not_pressed_again(tmp_path: Path) -> None:
    """Its press would be a true alarm that waits for an administrator; another button is made."""
    async with served(tmp_path) as (_, phone):
        options = ("--home", tmp_path, "--zone", "5340", "--url", phone.url, "--wait", 1)
        await run("check", *options)
        core = core_at(tmp_path)
        (button,) = exercises.check_buttons(core)
        assert buttons.revoke_button(core, button.device_id)
        _, out, _ = await run("check", *options)
        assert "is stored" in out
        assert administration.waiting(core) == 0
        assert [one.device_id == button.device_id for one in exercises.check_buttons(core)] == [False]


async def test_which_zone_is_asked_for_where_it_is_not_clear(tmp_path: Path) -> None:
    """None yet."""
    core_at(tmp_path)
    code, _, error = await run("check", "--home", tmp_path)
    assert (code, error) == (2, "amr-centre: say which zone: --zone ZONE\n")


async def test_training_with_a_button_is_begun_listed_and_ended(tmp_path: Path) -> None:
    """At the terminal; what is no button is refused with a sentence."""
    core = core_at(tmp_path)
    button = exercises.new_check_button("0" * 64)
    exercises.add_check_button(core, "5340", button)
    begin = ("exercise", "begin", button.device_id, "--home", tmp_path, "--zone", "5340")
    assert (await run(*begin, "--minutes", 30))[0] == 0
    assert "in exercise until" in (await run("exercise", "list", "--home", tmp_path))[1]
    assert (await run("exercise", "end", button.device_id, "--home", tmp_path))[0] == 0
    code, _, error = await run("exercise", "end", button.device_id, "--home", tmp_path)
    assert (code, error) == (1, f"amr-centre: {button.device_id} is not in exercise\n")
    assert (await run(*begin, "--minutes", 481))[0] == 2
    begin = ("exercise", "begin", "A" * 16, "--home", tmp_path, "--zone", "5340")
    code, _, error = await run(*begin)
    assert (code, error) == (1, f"amr-centre: {'A' * 16}: there is no such button here\n")
