"""What recipes know of the nets without Keras is what the registry says with it."""

from __future__ import annotations

import subprocess
import sys

from candid.recipes.nets import nets
from candid.training.nets.registry import NETS


def test_the_nets_are_those_of_the_registry() -> None:
    found = nets()
    assert list(found) == list(NETS)
    for name, net in NETS.items():
        assert found[name].settings.__name__ == net.settings.__name__
        assert found[name].settings.model_json_schema() == net.settings.model_json_schema()
        assert found[name].settings() == found[name].settings.model_validate(net.settings().model_dump())
        assert found[name].smallest == net.smallest
        assert found[name].preset == net.preset


def test_reading_recipes_takes_no_keras() -> None:
    code = (
        "import sys; from candid.recipes import list_recipes, load_recipe; "
        "[load_recipe(key) for key in list_recipes()]; "
        "sys.exit(bool({'keras', 'tensorflow', 'keras_hub'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
