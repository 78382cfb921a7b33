"""The settings of detection and their fingerprint."""

from dataclasses import replace

import pytest

from geofence.errors import InvalidSetting
from geofence.rules import Rules


def test_equal_settings_have_equal_fingerprints_however_they_were_written() -> None:
    assert Rules(dwell_s=20).config_hash == Rules(dwell_s=20.0).config_hash == Rules().config_hash


def test_other_settings_have_another_fingerprint() -> None:
    others = [Rules(dwell_s=21.0), Rules(tell_pass_bys=False), replace(Rules(), reach_m=31.0)]
    assert len({rules.config_hash for rules in [Rules(), *others]}) == 4


def test_settings_that_cannot_be_are_refused_by_name() -> None:
    with pytest.raises(InvalidSetting, match="gps_noise_m"):
        Rules(gps_noise_m=0.0)
