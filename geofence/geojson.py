"""GeoJSON Features (RFC 7946), decoded to dicts, made into fences and back."""

from collections.abc import Mapping, Sequence
from sys import float_info
from typing import Any, Final

import numpy as np
import shapely
from shapely.geometry import MultiPolygon, Polygon, mapping
from shapely.geometry.base import BaseGeometry

from geofence.errors import InvalidFence, InvalidRecord
from geofence.fences import Fence
from geofence.geometry import wrap_degrees
from geofence.times import format_time, parse_time

OWN_PROPERTIES: Final = frozenset(
    {"fence_id", "customer_id", "radius_m", "dwell_s", "valid_from", "valid_to"}
)
"""What a fence itself is made of; all other properties are facts about the customer."""

Position = tuple[float, float]


def fence_of(feature: Mapping[str, Any]) -> Fence:
    """The fence that a Feature describes: a Point with `radius_m`, a Polygon or a MultiPolygon.

    `fence_id` may be the Feature's own `id` instead of a property. Rings are closed and mended where an area
    is left; shapes across the antimeridian may be split there, as the RFC wants, or run past 180 degrees.
    Raises InvalidFence, naming the field.
    """
    if feature.get("type") != "Feature":
        raise InvalidFence(f"is {feature.get('type')!r}, not 'Feature'", "type")
    properties = _mapping(feature.get("properties") or {}, "properties")
    geometry = _mapping(feature.get("geometry"), "geometry")
    lat, lon, radius_m, shape = _place(geometry, properties)
    valid_from_ms, valid_to_ms = _time(properties, "valid_from"), _time(properties, "valid_to")
    if valid_from_ms is not None and valid_to_ms is not None and valid_to_ms <= valid_from_ms:
        raise InvalidFence("is not after valid_from", "valid_to")
    return Fence(
        fence_id=_fence_id(feature, properties),
        customer_id=_text(properties, "customer_id"),
        lat=lat,
        lon=lon,
        radius_m=radius_m,
        shape=shape,
        dwell_s=_optional_number(properties, "dwell_s"),
        valid_from_ms=valid_from_ms,
        valid_to_ms=valid_to_ms,
        facts={name: value for name, value in properties.items() if name not in OWN_PROPERTIES},
    )


def feature_of(fence: Fence) -> dict[str, Any]:
    """The Feature of a fence: `fence_of(feature_of(fence))` is that fence."""
    properties: dict[str, Any] = {"fence_id": fence.fence_id, "customer_id": fence.customer_id}
    if fence.radius_m is not None:
        properties["radius_m"] = fence.radius_m
    if fence.dwell_s is not None:
        properties["dwell_s"] = fence.dwell_s
    for name, ts_ms in (("valid_from", fence.valid_from_ms), ("valid_to", fence.valid_to_ms)):
        if ts_ms is not None:
            properties[name] = format_time(ts_ms)
    return {
        "type": "Feature",
        "id": fence.fence_id,
        "geometry": _point(fence) if fence.shape is None else dict(mapping(fence.shape)),
        "properties": {**properties, **fence.facts},
    }


def _point(fence: Fence) -> dict[str, Any]:
    return {"type": "Point", "coordinates": [fence.lon, fence.lat]}


def _place(
    geometry: Mapping[str, Any], properties: Mapping[str, Any]
) -> tuple[float, float, float | None, BaseGeometry | None]:
    kind, coordinates = geometry.get("type"), geometry.get("coordinates")
    if kind == "Point":
        lon, lat = _position(coordinates, "geometry.coordinates")
        radius_m = _optional_number(properties, "radius_m")
        if radius_m is None:
            raise InvalidFence("is missing: a Point needs one", "radius_m")
        return lat, lon if -180 <= lon <= 180 else wrap_degrees(lon), radius_m, None
    if kind == "Polygon":
        shape = area_of([_polygon(coordinates, "geometry.coordinates")])
    elif kind == "MultiPolygon":
        parts = _sequence(coordinates, "geometry.coordinates")
        shape = area_of([_polygon(p, f"geometry.coordinates[{i}]") for i, p in enumerate(parts)])
    else:
        raise InvalidFence(f"is {kind!r}, not 'Point', 'Polygon' or 'MultiPolygon'", "geometry.type")
    inside = shape.representative_point()
    return inside.y, wrap_degrees(inside.x), None, shape


def area_of(polygons: Sequence[Polygon]) -> BaseGeometry:
    """One valid Polygon or MultiPolygon of these, whole across the antimeridian; raises InvalidFence."""
    where = "geometry.coordinates"
    if any(east - west >= 180 for west, _, east, _ in (p.bounds for p in polygons if not p.is_empty)):
        raise InvalidFence("reaches around half the Earth", where)
    mended = [p if p.is_valid and not p.is_empty else _mended(p) for p in polygons]
    shape = shapely.union_all(_side_by_side(mended)) if len(mended) > 1 else mended[0] if mended else None
    if shape is None or shape.is_empty or not isinstance(shape, Polygon | MultiPolygon):
        raise InvalidFence("has no area", where)
    west = shape.bounds[0]
    return _shifted(shape, wrap_degrees(west) - west)


def _mended(polygon: Polygon) -> BaseGeometry:
    mended: BaseGeometry = shapely.make_valid(polygon, method="structure", keep_collapsed=False)
    return mended


def _side_by_side(shapes: Sequence[BaseGeometry]) -> list[BaseGeometry]:
    """The shapes with longitudes near those of the first, so that the two sides of the antimeridian meet."""
    filled = [s for s in shapes if not s.is_empty]
    if not filled:
        return []
    anchor = filled[0].bounds[0]
    return [_shifted(s, wrap_degrees(s.bounds[0] - anchor) + anchor - s.bounds[0]) for s in filled]


def _shifted(shape: BaseGeometry, degrees: float) -> BaseGeometry:
    turns = 360.0 * round(degrees / 360.0)
    return shape if turns == 0 else shapely.transform(shape, lambda corners: corners + np.array([turns, 0.0]))


def _polygon(coordinates: Any, where: str) -> Polygon:
    rings = _sequence(coordinates, where)
    if not rings:
        raise InvalidFence("holds no ring", where)
    lines = [_ring(ring, f"{where}[{i}]") for i, ring in enumerate(rings)]
    shell = lines[0]
    return Polygon(shell, [_beside(hole, shell[0][0]) for hole in lines[1:]])


def _ring(coordinates: Any, where: str) -> list[Position]:
    """The corners with longitudes that run on past 180 degrees where the ring crosses the antimeridian."""
    corners = [_position(c, f"{where}[{i}]") for i, c in enumerate(_sequence(coordinates, where))]
    if len(set(corners)) < 3:
        raise InvalidFence("has fewer than three corners", where)
    run_on = [corners[0]]
    for lon, lat in corners[1:]:
        before = run_on[-1][0]
        step = lon - before
        run_on.append((before + wrap_degrees(step) if abs(step) > 180 else lon, lat))
    return run_on


def _beside(ring: list[Position], lon: float) -> list[Position]:
    turns = 360.0 * round((lon - ring[0][0]) / 360.0)
    return [(x + turns, y) for x, y in ring]


def _position(value: Any, where: str) -> Position:
    values = _sequence(value, where)
    if len(values) < 2 or not (_is_number(values[0]) and _is_number(values[1])):
        raise InvalidFence(f"{str(value)[:60]} is not [lon, lat]", where)
    lon, lat = float(values[0]), float(values[1])
    if not abs(lat) <= 90:
        raise InvalidFence(f"latitude {lat} is not between -90 and 90 (the order is [lon, lat])", where)
    if not abs(lon) <= 360:
        raise InvalidFence(f"longitude {lon} is not between -180 and 180", where)
    return lon, lat


def _fence_id(feature: Mapping[str, Any], properties: Mapping[str, Any]) -> str:
    if properties.get("fence_id") is None and feature.get("id") is not None:
        return str(feature["id"])
    return _text(properties, "fence_id")


def _text(properties: Mapping[str, Any], name: str) -> str:
    value = properties.get(name)
    if value is None:
        raise InvalidFence("is missing", name)
    if not isinstance(value, str):
        raise InvalidFence(f"{value!r} is not text", name)
    return value


def _optional_number(properties: Mapping[str, Any], name: str) -> float | None:
    value = properties.get(name)
    if value is None:
        return None
    if not _is_number(value):
        raise InvalidFence(f"{repr(value)[:60]} is not a number", name)
    return float(value)


def _is_number(value: Any) -> bool:
    return type(value) in (float, int) and abs(value) <= float_info.max  # JSON has larger whole numbers


def _time(properties: Mapping[str, Any], name: str) -> int | None:
    value = properties.get(name)
    if value is None:
        return None
    try:
        return parse_time(value, name)
    except InvalidRecord as error:
        raise InvalidFence(error.reason, error.field) from None


def _mapping(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InvalidFence("is missing" if value is None else f"{str(value)[:60]} is not an object", where)
    return value


def _sequence(value: Any, where: str) -> Sequence[Any]:
    if not isinstance(value, list | tuple):
        raise InvalidFence("is missing" if value is None else f"{str(value)[:60]} is not an array", where)
    return value
