"""What kinds of towns and phones there are: every knob of the simulator, as ranges that a seed draws from."""

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from geofence.errors import InvalidSetting

Range = tuple[float, float]
"""Lowest and highest value; a town, a driver or a customer draws its own between them."""


@dataclass(frozen=True, slots=True)
class Profile:
    """Knobs of one kind of town; ranges are drawn once a town unless said otherwise, shares are chances."""

    name: str
    # streets and houses
    layout: str = "organic"
    block_m: Range = (90.0, 160.0)
    house_spacing_m: Range = (18.0, 28.0)
    setback_m: Range = (6.0, 20.0)
    customer_share: Range = (0.06, 0.12)
    households: Range = (1.0, 1.12)
    apart_m: float = 0.0
    cruise_mps: Range = (8.0, 11.0)
    main_mps: Range = (12.0, 15.0)
    light_share: Range = (0.4, 0.8)
    # fences
    radius_m: Range = (30.0, 60.0)
    polygon_share: Range = (0.0, 0.15)
    geocode_sd_m: Range = (5.0, 10.0)
    bad_geocode_share: Range = (0.0, 0.02)
    # the day
    stops_per_day: Range = (36.0, 48.0)
    pace: Range = (0.6, 1.25)
    parking_sd_m: Range = (4.0, 10.0)
    share_reach_m: Range = (20.0, 40.0)
    share_chance: Range = (0.5, 0.9)
    companion_chance: Range = (0.05, 0.2)
    customers_a_stop: Range = (5.0, 7.0)
    swap_share: Range = (0.02, 0.10)
    skip_share: Range = (0.01, 0.04)
    add_share: Range = (0.0, 0.03)
    return_share: Range = (0.01, 0.03)
    search_share: Range = (0.05, 0.15)
    creep_share: Range = (0.01, 0.05)
    jams_per_day: Range = (0.5, 2.5)
    halts_per_day: Range = (1.0, 5.0)
    errands_per_day: Range = (0.0, 0.8)
    break_in_fence: Range = (0.05, 0.3)
    # phones, drawn for each driver
    spacing_s: Range = (2.0, 10.0)
    noise_m: Range = (2.5, 5.0)
    jitter: Range = (0.1, 0.4)
    indoor_factor: Range = (1.2, 2.6)
    multipath_m: Range = (0.0, 15.0)
    multipath_share: Range = (0.0, 0.05)
    silent_share: float = 0.15
    in_van_share: float = 0.2
    accuracy_share: float = 0.7
    speed_share: float = 0.6
    # loss and disorder, drawn for each driver
    gps_losses_per_day: Range = (0.0, 3.0)
    stop_loss_share: Range = (0.0, 0.02)
    loss_s: Range = (30.0, 150.0)
    network_losses_per_day: Range = (0.0, 3.0)
    teleport_share: Range = (0.0, 0.0005)
    null_island_share: Range = (0.0, 0.0002)
    stale_per_day: Range = (0.0, 2.0)
    clock_jumps_per_day: Range = (0.0, 0.3)
    duplicate_share: Range = (0.0, 0.005)
    disorder_share: Range = (0.0, 0.01)
    dies_share: Range = (0.02, 0.08)
    # what is published
    routes: bool = True


SUBURB = Profile("suburb")

DENSE = Profile(
    "dense",
    layout="grid",
    block_m=(70.0, 120.0),
    house_spacing_m=(11.0, 18.0),
    setback_m=(4.0, 10.0),
    customer_share=(0.35, 0.65),
    households=(1.3, 2.2),
    cruise_mps=(6.5, 9.0),
    main_mps=(9.0, 13.0),
    light_share=(0.6, 0.9),
    radius_m=(30.0, 55.0),
    geocode_sd_m=(8.0, 14.0),
    bad_geocode_share=(0.0, 0.03),
    parking_sd_m=(10.0, 20.0),
    share_chance=(0.5, 0.8),
    companion_chance=(0.15, 0.3),
    search_share=(0.2, 0.4),
    jams_per_day=(2.0, 8.0),
    halts_per_day=(4.0, 12.0),
    noise_m=(6.0, 10.0),
    jitter=(0.3, 0.9),
    multipath_m=(15.0, 35.0),
    multipath_share=(0.15, 0.35),
    spacing_s=(2.0, 8.0),
    customers_a_stop=(7.0, 15.0),
)

COUNTRYSIDE = Profile(
    "countryside",
    layout="villages",
    block_m=(110.0, 190.0),
    house_spacing_m=(26.0, 42.0),
    setback_m=(8.0, 35.0),
    customer_share=(0.05, 0.14),
    households=(1.0, 1.05),
    main_mps=(18.0, 25.0),
    light_share=(0.0, 0.2),
    radius_m=(40.0, 80.0),
    geocode_sd_m=(8.0, 18.0),
    bad_geocode_share=(0.01, 0.04),
    stops_per_day=(28.0, 40.0),
    parking_sd_m=(5.0, 10.0),
    search_share=(0.0, 0.05),
    jams_per_day=(0.0, 1.0),
    halts_per_day=(1.0, 4.0),
    spacing_s=(12.0, 45.0),
    speed_share=0.7,
)

HOSTILE = Profile(
    "hostile",
    customer_share=(0.3, 0.5),
    geocode_sd_m=(8.0, 14.0),
    bad_geocode_share=(0.0, 0.03),
    noise_m=(7.0, 13.0),
    jitter=(0.3, 1.0),
    multipath_m=(10.0, 30.0),
    multipath_share=(0.05, 0.25),
    spacing_s=(3.0, 20.0),
    silent_share=0.3,
    gps_losses_per_day=(4.0, 15.0),
    stop_loss_share=(0.05, 0.2),
    loss_s=(30.0, 240.0),
    network_losses_per_day=(4.0, 12.0),
    teleport_share=(0.002, 0.01),
    null_island_share=(0.0, 0.004),
    stale_per_day=(4.0, 15.0),
    clock_jumps_per_day=(0.0, 3.0),
    duplicate_share=(0.005, 0.04),
    disorder_share=(0.01, 0.15),
    dies_share=(0.1, 0.3),
)

NO_ROUTE = Profile(
    "no-route",
    house_spacing_m=(30.0, 45.0),
    customer_share=(0.035, 0.06),
    households=(1.0, 1.0),
    apart_m=35.0,
    radius_m=(30.0, 45.0),
    geocode_sd_m=(5.0, 10.0),
    bad_geocode_share=(0.0, 0.01),
    share_chance=(0.0, 0.2),
    companion_chance=(0.0, 0.01),
    customers_a_stop=(3.0, 4.0),
    search_share=(0.0, 0.08),
    jams_per_day=(0.0, 1.5),
    halts_per_day=(0.0, 3.0),
    errands_per_day=(0.0, 0.6),
    break_in_fence=(0.0, 0.3),
    routes=False,
)

PROFILES = {p.name: p for p in (SUBURB, DENSE, COUNTRYSIDE, HOSTILE, NO_ROUTE)}
"""Profiles by name."""


def profile_named(name: str) -> Profile:
    """The profile of that name; an unknown one raises InvalidSetting that lists the known."""
    if name not in PROFILES:
        raise InvalidSetting(f"profile: {name!r} is none of {', '.join(PROFILES)}")
    return PROFILES[name]


_OF_TOWN = frozenset(
    {
        "block_m",
        "house_spacing_m",
        "customer_share",
        "households",
        "cruise_mps",
        "main_mps",
        "light_share",
        "polygon_share",
        "geocode_sd_m",
        "bad_geocode_share",
        "stops_per_day",
        "pace",
        "parking_sd_m",
        "share_reach_m",
        "share_chance",
        "companion_chance",
        "customers_a_stop",
        "swap_share",
        "skip_share",
        "add_share",
        "return_share",
        "search_share",
        "creep_share",
        "jams_per_day",
        "halts_per_day",
        "errands_per_day",
        "break_in_fence",
    }
)
"""Knobs that are the same all over a town."""


def settled(profile: Profile, rng: np.random.Generator) -> Profile:
    """The profile of one town: what is the same all over it is drawn, so that its range becomes one value."""
    drawn: dict[str, Any] = {}
    for knob in fields(profile):
        if knob.name in _OF_TOWN:
            value = float(rng.uniform(*getattr(profile, knob.name)))
            drawn[knob.name] = (value, value)
    return replace(profile, **drawn)
