"""Every way in which the centre says no: one table, one exception (RFC 9457)."""

# reason: (HTTP status, title). The reason is what programs read; the OpenAPI document lists the same.
REASONS = {
    "malformed_json": (400, "The body is not JSON"),
    "malformed_form": (400, "The body is not a form"),
    "wrong_type": (400, "A required field is missing or has the wrong type"),
    "out_of_range": (400, "A required field has a value that does not exist"),
    "bad_frame": (400, "The frame is of no button here, or not as it sealed it"),
    "unauthorised": (401, "The credential is missing or unknown"),
    "revoked": (403, "The credential has been revoked"),
    "wrong_pin": (403, "The PIN is not the right one"),
    "wrong_sign_in": (403, "The login, the password or the code is not right"),
    "wrong_code": (403, "The code is not that of this second factor, now"),
    "wrong_origin": (403, "The request does not come from a page of this centre"),
    "wrong_form": (403, "The form is not one of this session; load its page again"),
    "wrong_role": (403, "Your role does not see this"),
    "unknown_device": (404, "This bridge has no such button"),
    "unknown_press": (404, "No such press has arrived here from this button"),
    "unknown_incident": (404, "There is no such incident for this caller"),
    "enrolment_unknown": (404, "There is no such enrolment code"),
    "unknown_path": (404, "There is nothing at this address"),
    "wrong_method": (405, "This address does not take that method"),
    "too_slow": (408, "The body did not arrive in time"),
    "enrolment_used": (409, "The enrolment code has been used; ask the centre for another one"),
    "not_an_alarm": (409, "A silent test ends when it is received"),
    "let_go": (409, "A newer frame of this button is answered instead"),
    "no_pin": (409, "No PIN was set for this button: it cannot be called off"),
    "incident_closed": (409, "The incident is closed: nobody follows it any more"),
    "unknown_patrol": (404, "No such patrol was sent to this alarm"),
    "unknown_colleague": (404, "No operator of that name can take it"),
    "patrol_further": (409, "The patrol is further already: a step is not taken back"),
    "too_many_patrols": (409, "As many patrols as can be kept were sent to this alarm"),
    "not_taken": (409, "Nobody has taken this alarm yet"),
    "not_yours": (409, "A colleague has this alarm"),
    "close_sent": (409, "The button has been told that it is over: open the alarm again instead"),
    "not_closed": (409, "The alarm is not closed"),
    "own_closing": (409, "Somebody else than who said so must correct it"),
    "bad_text": (422, "The text cannot be kept as it is"),
    "too_many_fixes": (422, "This bridge has sent as many positions of this incident as are kept"),
    "enrolment_expired": (410, "The enrolment code has expired; ask the centre for another one"),
    "unknown_case": (404, "There is no such case for this caller"),
    "unknown_user": (404, "There is no such user"),
    "unknown_place": (404, "There is no such place, with a position, in this case"),
    "unknown_grant": (404, "There is no such grant in this case"),
    "changed_meanwhile": (409, "Somebody else has changed the file meanwhile; nothing was overwritten"),
    "nothing_seen": (409, "The button's last silent test tells of no access point that stays in its place"),
    "no_grant": (409, "No grant runs today: a button is handed out on the prosecutor's decision"),
    "grant_runs": (409, "A grant still runs: end it first"),
    "case_closed": (409, "The case is closed"),
    "case_open": (409, "The case is open: close it first"),
    "buttons_out": (409, "Buttons are still handed out: take them back first"),
    "button_elsewhere": (409, "Somebody else has this button"),
    "button_trackable": (409, "A former phone can still follow this button: provision it again first"),
    "button_revoked": (409, "The button has been revoked"),
    "button_exercises": (409, "The button is for exercises: no protected person may hold it"),
    "not_a_check": (409, "This alarm is none of a check button"),
    "key_reused": (409, "The key of this request was that of another one"),
    "already_done": (409, "It has been done already, and the alarm stands as it stood"),
    "not_granted": (403, "This dispatch system may not close alarms"),
    "too_many_acts": (429, "The dispatch system asks for more than is taken from one"),
    "alarm_open": (409, "An alarm of this button is not closed: its phone must not be cut off"),
    "login_taken": (409, "Somebody has this login already"),
    "own_user": (409, "Nobody shuts themselves out: ask another administrator"),
    "not_held": (409, "This alarm does not wait for an administrator"),
    "bad_dates": (422, "The days do not come in this order"),
    "bad_photo": (422, "The photo cannot be taken"),
    "too_large": (413, "The body is larger than 64 KiB"),
    "bad_code": (422, "The code is not that of this press"),
    "bad_pin": (422, "The PINs cannot be taken"),
    "bad_password": (422, "The password cannot be taken"),
    "bad_fix": (422, "A position of the batch cannot be believed"),
    "only_alarms": (422, "Only an ALARM can be called off"),
    "pin_locked": (429, "Too many wrong PINs; wait before the next try"),
    "sign_in_locked": (429, "Too many wrong sign-ins; wait before the next try"),
    "too_often": (429, "Heartbeats come more often than asked for"),
    "malformed_http": (400, "The request is not HTTP as expected"),
    "case_broken": (500, "The case's file does not open; an administrator can restore a backup"),
    "internal": (500, "The centre has made a mistake"),
    "store_unavailable": (503, "The centre cannot write to its disk; send it again"),
    "provider_unavailable": (503, "The provider does not answer; sign in with your password"),
    "busy": (503, "The centre has too much to do at once; send it again"),
    "shed": (503, "The centre does without this heartbeat; the next one may pass"),
    "too_many_streams": (503, "Too many streams are open; try again later"),
}


class Refused(Exception):
    """The centre says no; nothing was stored. `reason` is a key of REASONS.

    `field`: what of the body is to blame; `retry_after_s`: when it makes sense to ask again.
    """

    def __init__(
        self, reason: str, detail: str = "", *, field: str | None = None, retry_after_s: int | None = None
    ) -> None:
        assert reason in REASONS
        super().__init__(reason)
        self.reason, self.field, self.retry_after_s = reason, field, retry_after_s
        self.detail = detail or REASONS[reason][1]


class Tally:
    """Counts refusals by reason, so that a flood costs one log line a minute and reason.

    Pure: time is an argument, in ms. Bounded: there are only as many reasons as the code has.
    """

    WINDOW_MS = 60_000

    def __init__(self) -> None:
        self._logged_at_ms: dict[str, float] = {}
        self._waiting: dict[str, int] = {}

    def note(self, reason: str, now_ms: float) -> int | None:
        """Count one; the number to log now, or None: `due` will give it later."""
        self._waiting[reason] = self._waiting.get(reason, 0) + 1
        if now_ms - self._logged_at_ms.get(reason, -self.WINDOW_MS) < self.WINDOW_MS:
            return None
        self._logged_at_ms[reason] = now_ms
        return self._waiting.pop(reason)

    def due(self, now_ms: float | None = None) -> list[tuple[str, int]]:
        """Return what was counted and not logged, where its minute is over; without a time, all of it."""
        over = [
            reason
            for reason in self._waiting
            if now_ms is None or now_ms - self._logged_at_ms[reason] >= self.WINDOW_MS
        ]
        for reason in over:
            self._logged_at_ms[reason] = now_ms or 0
        return [(reason, self._waiting.pop(reason)) for reason in over]
