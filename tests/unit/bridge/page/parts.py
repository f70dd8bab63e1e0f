"""What the tests of the page share."""

import re

# In any language: what somebody who looks over a shoulder, or into the browser, must not read.
FORBIDDEN = re.compile(
    r"alarm|alert|emergen|urgen|\bnood|notruf|notfall|notlage|112|\bsos\b|police|politi|polizei"
    r"|\bhelp|hulp|hilfe|\baide|secours|\bcentre|centra|meldkamer|zentral|leitstelle|danger|gevaar|gefahr"
    r"|victim|slachtoffer|opfer\b|stalk|harcel|panic|paniek|panik|duress|dwang|zwang|contrainte|threat|menace"
    r"|bedreig|bedroh|rescue|distress|safety|incident|operator|dispatch",
    re.IGNORECASE,
)
