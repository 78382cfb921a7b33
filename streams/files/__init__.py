"""Files in and out: the contract's records in JSON Lines, CSV, Parquet, GPX and GeoJSON."""

from streams.files.opening import file_name, read_lines, size_of
from streams.files.pings import BadLine, PingsRead, read_pings
from streams.files.records import read_device_events, read_fences, read_manual, read_routes, read_weather
from streams.files.writing import Sink, whole_file, writing

__all__ = [
    "BadLine",
    "PingsRead",
    "Sink",
    "file_name",
    "read_device_events",
    "read_fences",
    "read_lines",
    "read_manual",
    "read_pings",
    "read_routes",
    "read_weather",
    "size_of",
    "whole_file",
    "writing",
]
