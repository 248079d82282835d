"""What is in a file, as far as it can be shown quickly and safely: drawn from data, or framed without any rights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.safestring import SafeString, mark_safe

if TYPE_CHECKING:
    from lamindb.models import File
    from lamindb.web.site import Site


def html(site: Site, file: File) -> SafeString:
    """Return what is in a file as a part of a page."""
    return mark_safe(site.render("previews/none.html", {"site": site, "file": file}))
