"""ModelCar images: a model's directory under /models of an OCI image, which KServe serves from with `oci://`.

`push` puts a directory into a registry or an OCI layout on disk and returns the image by digest; the same files
give the same digest on any machine, a tag never moves by accident, and it is written last, so that nothing half-made
is ever visible. `resolve` tells the digest behind a tag, `inspect` describes an image, `pull` writes its files back,
`verify` reads it all again. A reference is `registry/repository:tag`, `registry/repository@sha256:...`, `oci:DIR:tag`
or `oci:DIR@sha256:...`.

How a push goes: files.py lists, layers.py plans tar layers that exist only while they are read, base.py finds what to
put them on, image.py composes the documents, push.py decides what has to travel; registry.py (with repository.py,
upload.py, auth.py, transport.py) and layout.py are the two kinds of place, retry.py has the patience for the first. A
pull believes nothing: blobs.py proves a blob before unpack.py looks into it. A model is pushed and pulled with the
standard library alone, so that a step starts at once. Who may push what is the registry's to say, and nothing is signed
here: digests decide, tags only name.

`push_steps` makes the other kind of image, the one that steps run in, from what is installed here; see steps/.
"""

from roadie.modelcar.access import Access
from roadie.modelcar.image import ANNOTATIONS
from roadie.modelcar.publish import Published, model_digest, publish
from roadie.modelcar.push import Pushed, PushedLayer, push
from roadie.modelcar.read import Image, ImageLayer, Pulled, Verified, inspect, pull, resolve, verify
from roadie.modelcar.reference import Reference, check_repository, parse_reference
from roadie.modelcar.steps import CODE, LOCK, StepsImage, code_digest, push_steps, shipped_code, shipped_lock

__all__ = [
    "ANNOTATIONS",
    "CODE",
    "LOCK",
    "Access",
    "Image",
    "ImageLayer",
    "Published",
    "Pulled",
    "Pushed",
    "PushedLayer",
    "Reference",
    "StepsImage",
    "Verified",
    "check_repository",
    "code_digest",
    "inspect",
    "model_digest",
    "parse_reference",
    "publish",
    "pull",
    "push",
    "push_steps",
    "resolve",
    "shipped_code",
    "shipped_lock",
    "verify",
]
