"""Progress: the stages of a run, who hears of them, and how they are shown."""

from gpupipe.runtime.progress.heard import (
    Heard,
    Progress,
    Shown,
    Silent,
    carried_out,
    during,
    expecting,
    hearing,
    listening,
    progress_for,
    read_back,
    stages_of,
    told,
)
from gpupipe.runtime.progress.stages import Running, Stage, stage_table

__all__ = [
    "Heard",
    "Progress",
    "Running",
    "Shown",
    "Silent",
    "Stage",
    "carried_out",
    "during",
    "expecting",
    "hearing",
    "listening",
    "progress_for",
    "read_back",
    "stage_table",
    "stages_of",
    "told",
]
