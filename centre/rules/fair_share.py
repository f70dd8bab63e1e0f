"""A share for each: what all buttons use together is never taken by one, nor by one stolen phone. Pure.

A share is what one bridge first tells of one button. So a stolen phone takes nothing from other buttons, nor
from the other phones of its own button. In the queries a share is `device_id, first_bridge_id`; they give one
of each share in turn, each share's own in order.

| of one share | at most | beyond it |
|---|---|---|
| events that wait for the webhook | WAITING_MAX | not told, and both logs say so |
| alarms on the board, alarms escalated in one look | SHOWN_MAX | when those before them are attended to |
| presses in an hour, alarms and tests each | PRESSES_AN_HOUR | counted on its last incident |
"""

WAITING_MAX = 20
SHOWN_MAX = 5
PRESSES_AN_HOUR = 60  # a hand presses some times a minute, and not for an hour
HOUR_MS = 3_600_000
