"""Has the detection's compiled parts ready before the first real ping: they compile when first used."""

from geofence.engine import Engine
from geofence.events import Ping, PingBatch
from geofence.fences import Fence, FenceSet
from geofence.routes import Route, Stop
from streams.records.pings import load_scanner


def warm_up() -> None:
    """Decode pings; detect two made-up visits, one with and one without reported speed."""
    load_scanner()
    fences = [Fence(f"f{n}", f"c{n}", 0.0, 0.01 * n, radius_m=50.0) for n in range(2)]
    engine = Engine(fences=FenceSet(fences))
    stops = tuple(Stop(f"s{n}", f"c{n}", n) for n in range(2))
    engine.put_route(Route("r", "with speed", 0, stops))
    for driver, speed in (("with speed", True), ("without", False)):
        engine.feed(PingBatch.of([_ping(driver, second, speed) for second in range(0, 1_200, 5)]))
    engine.settle()
    engine.take_dirty()


def _ping(driver_id: str, second: int, speed: bool) -> Ping:
    """Five minutes at each customer, as long on the way."""
    share = min(1.0, max(0.0, (second - 300) / 300))
    moving = 300 < second < 600
    return Ping(
        driver_id,
        1_600_000_000_000 + 1000 * second,
        0.00001 * (second % 2),
        0.01 * share,
        5.0 if speed else None,
        (3.7 if moving else 0.0) if speed else None,
    )
