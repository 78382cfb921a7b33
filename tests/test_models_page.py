"""The Python on the page about models runs as it stands."""

import re
from pathlib import Path

from learning_town import QUICK, small_town

from models import dataset
from models.promotion import train_on_table
from models.registry import Registry
from models.scoring import Scorer

PAGE = Path(__file__).parent.parent / "docs" / "models.md"


def test_the_examples_run_one_after_another(tmp_path: Path) -> None:
    table, registry = str(tmp_path / "table"), str(tmp_path / "models")
    dataset.upsert(table, small_town().rows)
    train_on_table(table, Registry(registry), QUICK)
    names: dict[str, object] = {"TABLE": table, "REGISTRY": registry}
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), names)
    assert isinstance(names["scorer"], Scorer)
