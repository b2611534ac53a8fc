"""Image names, by the grammar of the distribution project (`distribution/reference`).

    reference  := name [ ":" tag ] [ "@" digest ]
    name       := [ domain "/" ] path-component [ "/" path-component ]*
    domain     := host [ ":" port ]           host: DNS name, IPv4, or "[" IPv6 "]"
    path-component := [a-z0-9]+ ( ( "." | "_" | "__" | "-"+ ) [a-z0-9]+ )*
    tag        := [A-Za-z0-9_][A-Za-z0-9_.-]{0,127}
    digest     := algorithm ":" hex{32,}      sha256 has exactly 64

The first component is a domain if it holds a "." or ":", is `localhost`, or has a capital letter.
Written here because `contracts` is standard library only; the source of the rules is
https://github.com/distribution/reference (reference.go and regexp.go).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from slipway.contracts.errors import WrongUse

DEFAULT_TAG = "latest"
NAME_LIMIT = 255
"""Characters that a repository name may have, domain and path together."""

_COMPONENT = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*", re.ASCII)
_DOMAIN = re.compile(
    r"(?:(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
    r"(?:\.(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9]))*"
    r"|\[[a-fA-F0-9:]+\])(?::[0-9]+)?",
    re.ASCII,
)
_TAG = re.compile(r"[\w][\w.-]{0,127}", re.ASCII)
_DIGEST = re.compile(
    r"[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}", re.ASCII
)
_SHA256 = re.compile(r"sha256:[0-9a-f]{64}", re.ASCII)
_ECR = re.compile(
    r"(?P<account>[0-9]{12})\.dkr[.-]ecr(?:-fips)?\.(?P<region>[a-z0-9-]+)\."
    r"(?:amazonaws\.com(?:\.cn)?|on\.aws|on\.amazonwebservices\.com\.cn)",
    re.ASCII,
)


@dataclass(frozen=True)
class ImageReference:
    """A parsed image name. `repository` is domain and path, as written: nothing is filled in."""

    repository: str
    tag: str | None = None
    digest: str | None = None

    @classmethod
    def parse(cls, text: str) -> ImageReference:
        """The reference that `text` is; WrongUse names the part that breaks the grammar."""
        if not text:
            raise _refusal(text, "name", text, "is empty")
        name, at, digest = text.partition("@")
        if at:
            _check_digest(text, digest)
        tag: str | None = None
        head, colon, tail = name.rpartition(":")
        if colon and "/" not in tail:
            name, tag = head, tail
            _check_tag(text, tag)
        _check_name(text, name)
        return cls(name, tag, digest if at else None)

    @property
    def domain(self) -> str | None:
        """The registry's `host[:port]`, or None for a name of the default registry."""
        return _split_domain(self.repository)[0]

    @property
    def path(self) -> str:
        """The repository's name inside its registry."""
        return _split_domain(self.repository)[1]

    @property
    def version(self) -> str:
        """What docker would pull: the digest, or the tag (default `latest`)."""
        return self.digest or self.tag or DEFAULT_TAG

    def with_default_tag(self) -> ImageReference:
        """The same image with the tag that an untagged name stands for written out."""
        return self if self.tag or self.digest else replace(self, tag=DEFAULT_TAG)

    def with_tag(self, tag: str) -> ImageReference:
        """The same repository at `tag`; tag *and* digest of this reference are replaced."""
        _check_tag(f"{self.repository}:{tag}", tag)
        return ImageReference(self.repository, tag)

    def with_digest(self, digest: str) -> ImageReference:
        """The same repository at `digest`; the tag is dropped."""
        _check_digest(f"{self.repository}@{digest}", digest)
        return ImageReference(self.repository, None, digest)

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.repository}{tag}{digest}"


@dataclass(frozen=True)
class EcrImage:
    """Where in ECR an image is: what `ecr:BatchGetImage` asks for."""

    account: str
    region: str
    repository: str


def ecr_image(reference: ImageReference) -> EcrImage | None:
    """The place in a private ECR registry that `reference` names, or None if it is not in ECR."""
    match = _ECR.fullmatch(reference.domain or "")
    if match is None:
        return None
    return EcrImage(match["account"], match["region"], reference.path)


def _split_domain(repository: str) -> tuple[str | None, str]:
    first, slash, rest = repository.partition("/")
    is_domain = "." in first or ":" in first or first == "localhost" or first != first.lower()
    return (first, rest) if slash and is_domain else (None, repository)


def _check_name(text: str, name: str) -> None:
    domain, path = _split_domain(name)
    if domain is not None and not _DOMAIN.fullmatch(domain):
        raise _refusal(text, "registry", domain, "must be host[:port]")
    for component in path.split("/"):
        if not _COMPONENT.fullmatch(component):
            rule = "must be lower-case letters and digits, joined by single . or _, __ or dashes"
            raise _refusal(text, "repository name", component or path, rule)
    if len(name) > NAME_LIMIT:
        raise _refusal(text, "repository name", name[:40] + "…", f"is over {NAME_LIMIT} characters")


def _check_tag(text: str, tag: str) -> None:
    if not _TAG.fullmatch(tag):
        rule = "must be 1 to 128 letters, digits, '_', '.' or '-', not starting with '.' or '-'"
        raise _refusal(text, "tag", tag, rule)


def _check_digest(text: str, digest: str) -> None:
    wanted = _SHA256 if digest.startswith("sha256:") else _DIGEST
    if not wanted.fullmatch(digest):
        raise _refusal(text, "digest", digest, "must be sha256: and 64 hexadecimal digits")


def _refusal(text: str, part: str, value: str, rule: str) -> WrongUse:
    return WrongUse(f"image {text!r}: the {part} {value!r} {rule}")
