-- Version 7: the Institute's figures, as they may be shown; what is kept back is not here either.

CREATE TABLE figures (
    month           TEXT NOT NULL,              -- YYYY-MM, UTC
    zone            TEXT NOT NULL,              -- a police zone; all, other, none
    figure          TEXT NOT NULL,
    class           TEXT NOT NULL,              -- centre/rules/figures.py
    value           INTEGER,                    -- NULL: some, fewer than five
    PRIMARY KEY (month, figure, class, zone)
) STRICT, WITHOUT ROWID;

CREATE TABLE figure_months (
    month           TEXT PRIMARY KEY,
    made_at_ms      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
