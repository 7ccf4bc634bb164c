"""When a department is open."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smhub.departments.hours import (
    Hours,
    business_seconds,
    check_place,
    check_spans,
    language_of,
    local_days,
    minutes,
    moment,
    open_intervals,
    public_holidays,
)
from smhub.errors import Invalid

HOUR = 3600
OFFICE = {0: ["09:00-12:00", "13:00-17:30"], 1: ["09:00-17:00"], 4: ["09:00-15:00"]}


class Row:
    def __init__(self, **given: Any) -> None:
        self.time_zone = given.get("time_zone", "Europe/Berlin")
        self.country = given.get("country")
        self.subdivision = given.get("subdivision")
        self.opening_hours = given.get("opening_hours", [])
        self.closed_days = given.get("closed_days", [])


def _span(day: int, text: str) -> dict[str, Any]:
    begins, ends = text.split("-")
    return {"weekday": day, "from": begins, "to": ends}


def hours(spans: dict[int, list[str]] | None = None, **more: Any) -> Hours:
    return Hours.of(Row(opening_hours=[_span(day, text) for day, texts in (spans or {}).items() for text in texts], **more))


def berlin(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo("Europe/Berlin"))


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def seconds_of_day(of: Hours, day: str) -> float:
    return business_seconds(of, *local_days(of, berlin(f"{day}T12:00"), 1))


def test_without_spans_it_is_always_open():
    of = hours()
    assert seconds_of_day(of, "2026-11-02") == 24 * HOUR
    now = moment(of, utc("2026-11-02T03:00"))
    assert (now.open, now.next_opening, now.next_closing) == (True, None, None)


def test_a_day_has_several_spans():
    of = hours(OFFICE)
    found = open_intervals(of, *local_days(of, berlin("2026-11-02T18:00"), 1))
    assert found == [
        (utc("2026-11-02T08:00"), utc("2026-11-02T11:00")),
        (utc("2026-11-02T12:00"), utc("2026-11-02T16:30")),
    ]


def test_at_lunch_it_is_closed_and_says_when_it_goes_on():
    now = moment(hours(OFFICE), utc("2026-11-02T11:00"))
    assert not now.open
    assert now.closed_because == "hours"
    assert now.next_opening == utc("2026-11-02T12:00")
    assert now.next_closing == utc("2026-11-02T16:30")


def test_on_friday_evening_it_opens_again_on_monday():
    now = moment(hours(OFFICE), utc("2026-11-06T14:00"))
    assert not now.open
    assert now.next_opening == utc("2026-11-09T08:00")


def test_an_open_moment_says_when_it_closes_and_when_it_opens_after_that():
    now = moment(hours(OFFICE), utc("2026-11-02T09:00"))
    assert now.open
    assert now.closed_because is None
    assert now.next_closing == utc("2026-11-02T11:00")
    assert now.next_opening == utc("2026-11-02T12:00")


def test_spans_that_touch_over_midnight_are_one():
    of = hours({0: ["22:00-24:00"], 1: ["00:00-06:00"]})
    assert open_intervals(of, utc("2026-11-02T00:00"), utc("2026-11-04T00:00")) == [(utc("2026-11-02T21:00"), utc("2026-11-03T05:00"))]


def test_the_day_on_which_the_clocks_go_forward_has_23_hours():
    assert seconds_of_day(hours({6: ["00:00-24:00"]}), "2027-03-28") == 23 * HOUR
    assert seconds_of_day(hours({6: ["00:00-06:00"]}), "2027-03-28") == 5 * HOUR


def test_the_day_on_which_the_clocks_go_back_has_25_hours():
    assert seconds_of_day(hours({6: ["00:00-24:00"]}), "2026-10-25") == 25 * HOUR
    assert seconds_of_day(hours({6: ["00:00-06:00"]}), "2026-10-25") == 7 * HOUR


def test_an_hour_that_the_clocks_skip_does_not_exist():
    of = hours({6: ["02:15-02:45"]})
    assert seconds_of_day(of, "2027-03-28") == 0
    late = hours({6: ["02:30-05:00"]})
    assert open_intervals(late, *local_days(late, berlin("2027-03-28T12:00"), 1)) == [
        (utc("2027-03-28T01:00"), utc("2027-03-28T03:00"))
    ]


def test_after_the_change_it_opens_at_the_same_hour_on_the_wall():
    of = hours({5: ["09:00-17:00"], 6: ["09:00-17:00"]})
    opens = [begins for begins, _ in open_intervals(of, *local_days(of, berlin("2026-10-24T12:00"), 2))]
    assert opens == [utc("2026-10-24T07:00"), utc("2026-10-25T08:00")]


def test_all_saints_is_kept_in_bavaria_and_not_in_berlin():
    sunday = {day: ["09:00-17:00"] for day in range(7)}
    bavaria, berlin_ = hours(sunday, country="DE", subdivision="BY"), hours(sunday, country="DE", subdivision="BE")
    noon = berlin("2027-11-01T12:00")
    closed = moment(bavaria, noon)
    assert (closed.open, closed.closed_because, closed.day_name) == (False, "holiday", "Allerheiligen")
    assert closed.next_opening == utc("2027-11-02T08:00")
    assert moment(berlin_, noon).open


def test_a_closed_day_of_ones_own_has_its_name():
    of = hours(OFFICE, closed_days=[{"date": "2026-11-02", "name": "Inventur"}])
    now = moment(of, berlin("2026-11-02T10:00"))
    assert (now.open, now.closed_because, now.day_name) == (False, "closed_day", "Inventur")
    assert seconds_of_day(of, "2026-11-02") == 0


def test_a_long_closure_still_finds_the_next_opening():
    closed = [{"date": str(date(2026, 11, 1) + timedelta(days=n)), "name": "Umbau"} for n in range(90)]
    assert moment(hours(OFFICE, closed_days=closed), utc("2026-11-02T09:00")).next_opening == utc("2027-02-01T08:00")


def test_the_day_is_the_local_one():
    of = hours(OFFICE, time_zone="Pacific/Auckland", closed_days=[{"date": "2026-11-03", "name": "Inventur"}])
    assert moment(of, utc("2026-11-02T21:00")).closed_because == "closed_day"


@pytest.mark.parametrize(
    ("spans", "field"),
    [
        ([(0, "09:00", "09:00")], "opening_hours.0.to"),
        ([(0, "12:00", "09:00")], "opening_hours.0.to"),
        ([(0, "09:00", "12:00"), (1, "09:00", "12:00"), (0, "11:59", "13:00")], "opening_hours.2"),
    ],
)
def test_spans_that_make_no_sense_are_refused_by_their_place(spans, field):
    with pytest.raises(Invalid) as refused:
        check_spans(spans)
    assert [one.field for one in refused.value.fields] == [field]


def test_spans_may_touch():
    check_spans([(0, "09:00", "12:00"), (0, "12:00", "24:00")])


@pytest.mark.parametrize(
    ("country", "subdivision", "field", "named"),
    [("ZZ", None, "country", "DE"), ("DE", "ZZ", "subdivision", "BY"), (None, "BY", "subdivision", "country")],
)
def test_an_unknown_place_is_refused_and_says_what_is_known(country, subdivision, field, named):
    with pytest.raises(Invalid) as refused:
        check_place(country, subdivision)
    assert refused.value.fields[0].field == field
    assert named in refused.value.fields[0].detail


def test_holidays_have_names_in_the_language_asked_for():
    day = date(2026, 12, 25)
    assert public_holidays("DE", None, 2026)[day] == "Erster Weihnachtstag"
    assert public_holidays("DE", None, 2026, language_of("DE", "en"))[day] == "Christmas Day"
    with pytest.raises(Invalid):
        language_of("DE", "xx")


spans_of_a_day = st.lists(st.integers(0, 96), min_size=0, max_size=6, unique=True).map(
    lambda cuts: [(a * 15, b * 15) for a, b in zip(sorted(cuts)[::2], sorted(cuts)[1::2], strict=False)]
)
any_hours = st.builds(
    lambda zone, days, closed, country: Hours(
        zone=ZoneInfo(zone),
        spans=tuple(tuple(day) for day in days),
        closed_days={date(2026, 10, 20) + timedelta(days=n): "closed" for n in closed},
        country=country,
    ),
    st.sampled_from(["Europe/Berlin", "America/St_Johns", "Asia/Kathmandu", "Australia/Lord_Howe", "UTC"]),
    st.lists(spans_of_a_day, min_size=7, max_size=7),
    st.sets(st.integers(0, 20), max_size=3),
    st.sampled_from([None, "DE"]),
)
around_the_change = st.integers(0, 43 * 24 * 60 * 60).map(lambda seconds: utc("2026-09-28T00:00") + timedelta(seconds=seconds))


@given(any_hours, st.lists(around_the_change, min_size=3, max_size=3).map(sorted))
@settings(max_examples=100, deadline=None)
def test_business_time_adds_up_and_is_never_negative(of, moments):
    a, b, c = moments
    whole, first, second = business_seconds(of, a, c), business_seconds(of, a, b), business_seconds(of, b, c)
    assert first >= 0 <= second
    assert whole == pytest.approx(first + second, abs=1e-5)
    assert whole <= (c - a).total_seconds()
    assert business_seconds(of, c, a) == 0


@given(any_hours, around_the_change)
@settings(max_examples=20, deadline=None)
def test_a_week_is_what_the_clock_on_the_wall_shows_minute_by_minute(of, start):
    start = start.replace(second=0, microsecond=0)
    counted = 0
    for number in range(7 * 24 * 60):
        wall = (start + timedelta(minutes=number)).astimezone(of.zone)
        minute = wall.hour * 60 + wall.minute
        if any(begins <= minute < ends for begins, ends in of.spans[wall.weekday()]) and of.closed_on(wall.date()) is None:
            counted += 60
    assert business_seconds(of, start, start + timedelta(days=7)) == counted


@given(any_hours, around_the_change)
@settings(max_examples=50, deadline=None)
def test_the_next_opening_and_closing_are_where_it_changes(of, at):
    now = moment(of, at)
    second = timedelta(seconds=1)
    if now.next_opening is not None:
        assert moment(of, now.next_opening).open
        assert not moment(of, now.next_opening - second).open or now.next_opening - second < at
    if now.next_closing is not None:
        assert not moment(of, now.next_closing).open
    assert now.open == (now.closed_because is None)


@given(st.integers(0, 23), st.integers(0, 59))
def test_minutes_of_the_day(hour, minute):
    assert minutes(f"{hour:02}:{minute:02}") == hour * 60 + minute
