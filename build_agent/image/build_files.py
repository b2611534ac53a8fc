"""Which files of a commit a build reads: its context, its Dockerfile, its ignore file.

The ignore file goes by the Dockerfile's name as it is *given*, as for `docker build -f`, also
where that is a link: `prod.Dockerfile` has `prod.Dockerfile.dockerignore` beside it, or else the
context's `.dockerignore`. A link is followed inside the repository and never out of it. Docker
follows none out of the folder that it is in, and an ignore file behind such a link is none for it:
so both files are laid out in a folder of their own, under their given names.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path, PurePath

from slipway.contracts.errors import DeploymentFailed, WorldFailed
from slipway.contracts.installation import ImageSettings

_COMMON_IGNORE = ".dockerignore"


@dataclass(frozen=True)
class BuildFiles:
    """Real files inside the tree. `name`: the Dockerfile's, as given.

    `ignore` None: there is none, or docker finds it in the context by itself.
    """

    context: Path
    dockerfile: Path
    name: str
    ignore: Path | None

    @property
    def ignore_text(self) -> str:
        """What the ignore file says; nothing where there is none."""
        file = self.ignore or self.context / _COMMON_IGNORE
        try:
            return file.read_text(encoding="utf-8", errors="surrogateescape")
        except OSError:
            return ""

    def lay_out(self, folder: Path) -> Path:
        """Put Dockerfile and ignore file into `folder`; the Dockerfile's path there."""
        given = folder / self.name
        try:
            folder.mkdir()
            shutil.copyfile(self.dockerfile, given)
            if self.ignore is not None:
                shutil.copyfile(self.ignore, folder / _ignore_name(self.name))
        except OSError as error:
            raise WorldFailed(f"cannot lay out the Dockerfile: {error.strerror}") from None
        return given


def locate(tree: Path, image: ImageSettings) -> BuildFiles:
    """The files of `image` in `tree`; DeploymentFailed where they are not there, or outside."""
    root = tree.resolve()
    # Unlike pathlib, os.path raises nothing for links in a circle and names too long.
    context = Path(os.path.realpath(tree / image.context))
    if not context.is_relative_to(root) or not os.path.isdir(context):  # noqa: PTH112
        raise _wrong(f"the build context {image.context!r} is no folder of the repository")
    dockerfile = Path(os.path.realpath(context / image.dockerfile))
    if not dockerfile.is_relative_to(root):
        raise _wrong(f"{image.dockerfile!r} leads out of the repository")
    if not os.path.isfile(dockerfile):  # noqa: PTH113
        place = f" in {image.context!r}" if image.context != "." else ""
        raise _wrong(f"the repository has no Dockerfile {image.dockerfile!r}{place}")
    name = PurePath(image.dockerfile).name
    return BuildFiles(context, dockerfile, name, _ignore_file(root, context, image.dockerfile))


def _ignore_file(root: Path, context: Path, dockerfile: str) -> Path | None:
    own = _ignore_name(dockerfile)
    if os.path.lexists(context / own):
        return _inside(root, context, own)
    if os.path.islink(context / _COMMON_IGNORE):  # noqa: PTH114
        return _inside(root, context, _COMMON_IGNORE)
    return None


def _inside(root: Path, context: Path, name: str) -> Path | None:
    """The file that `name` is or leads to; None for a folder, which docker passes over, too.

    Without its ignore file a build could put secrets into the image: a link that leads to no file
    of the repository is refused.
    """
    file = Path(os.path.realpath(context / name))
    if file.is_relative_to(root) and os.path.isfile(file):  # noqa: PTH113
        return file
    if os.path.islink(context / name):  # noqa: PTH114
        raise _wrong(f"{name!r} is a link that leads to no file of the repository")
    return None


def _ignore_name(dockerfile: str) -> str:
    return f"{dockerfile}.dockerignore"


def _wrong(cause: str) -> DeploymentFailed:
    return DeploymentFailed(cause, stage="build")
