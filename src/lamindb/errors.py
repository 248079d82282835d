"""All errors of the library, grouped by what the caller can do about them.

```
LaminError
├── NotFoundError            (LookupError)        look for something else
│   ├── NoResultFound                             a query for exactly one record found none
│   ├── NoInstanceError                           no instance here: run `lamin init` or `lamin connect`
│   └── SourceNotFoundError  (FileNotFoundError)  the file to be saved is not there
├── NotUniqueError           (LookupError)        be more specific
│   └── MultipleResultsFound                      a query for exactly one record found several
├── InvalidInputError        (ValueError)         correct the argument
│   ├── InvalidKeyError                           a key that cannot name a file
│   ├── InvalidTypeError     (TypeError)          a value of another type
│   └── UnknownFieldError    (AttributeError)     a field or setting that does not exist
├── ConflictError            (RuntimeError)       something else is there; decide which one stays
│   ├── FlaggedFileError                          `if_flagged = "error"`, and the file is flagged or affected
│   ├── KeyExistsError                            `if_key_exists = "error"`, and the key is taken
│   ├── HashExistsError                           `upon_file_create_if_hash_exists = "error"`
│   ├── ReferencedError                           other records refer to what was to be deleted
│   └── ViewConflictError                         another file is where the view would show one
├── StorageError             (OSError)            the disk or bucket failed: fix it, call again
│   ├── SourceChangedError                        the file changed while it was being saved
│   └── ReadOnlyError                             the storage or the instance can only be read
├── DatabaseError            (RuntimeError)       the database failed: fix it, call again
│   └── NewerDatabaseError                        made by a newer version of this library
├── IntegrityError           (RuntimeError)       bytes are missing or damaged: never retried, never hidden
└── UnsupportedError         (NotImplementedError) not available here; names what to install
```

Each message is one line: what, which one, why, and what to do. `exit_code` is what the command line
returns for it.
"""

from __future__ import annotations

__all__ = [
    "ConflictError",
    "DatabaseError",
    "FlaggedFileError",
    "HashExistsError",
    "IntegrityError",
    "InvalidInputError",
    "InvalidKeyError",
    "InvalidTypeError",
    "KeyExistsError",
    "LaminError",
    "MultipleResultsFound",
    "NewerDatabaseError",
    "NoInstanceError",
    "NoResultFound",
    "NotFoundError",
    "NotUniqueError",
    "ReadOnlyError",
    "ReferencedError",
    "SourceChangedError",
    "SourceNotFoundError",
    "StorageError",
    "UnknownFieldError",
    "UnsupportedError",
    "ViewConflictError",
]


class LaminError(Exception):
    """The root of all errors of this library."""

    exit_code = 1


class NotFoundError(LaminError, LookupError):
    """What was looked for does not exist."""

    exit_code = 3


class NoResultFound(NotFoundError):
    """A query for exactly one record found none."""


class NoInstanceError(NotFoundError):
    """No instance is connected here, or the one that was is gone."""


class SourceNotFoundError(NotFoundError, FileNotFoundError):
    """The file that was to be saved does not exist."""


class NotUniqueError(LaminError, LookupError):
    """Several records match."""

    exit_code = 6


class MultipleResultsFound(NotUniqueError):
    """A query for exactly one record found several."""


class InvalidInputError(LaminError, ValueError):
    """An argument cannot be right; nothing was changed."""

    exit_code = 2


class InvalidKeyError(InvalidInputError):
    """A key that cannot name a file in a storage."""


class InvalidTypeError(InvalidInputError, TypeError):
    """An argument has a type that is not accepted here."""


class UnknownFieldError(InvalidInputError, AttributeError):
    """A field, look-up or setting that does not exist; the message suggests the closest name."""


class ConflictError(LaminError, RuntimeError):
    """Something that exists is in the way; it was left as it was."""

    exit_code = 6


class FlaggedFileError(ConflictError):
    """The file is flagged, or was derived from a flagged one, and the settings ask for an error."""


class KeyExistsError(ConflictError):
    """The key holds other bytes, and the settings ask for an error rather than a new version."""


class HashExistsError(ConflictError):
    """The same bytes are stored already, and the settings ask for an error."""


class ReferencedError(ConflictError):
    """Other records refer to what was to be deleted."""


class ViewConflictError(ConflictError):
    """A file or folder that is not ours is where the view would show a file."""


class StorageError(LaminError, OSError):
    """The storage failed; the state is as before the call, and calling again is safe."""

    exit_code = 4


class SourceChangedError(StorageError):
    """The file changed while it was being saved; nothing was saved."""


class ReadOnlyError(StorageError):
    """The storage or the instance can be read but not written."""


class DatabaseError(LaminError, RuntimeError):
    """The database failed or cannot be reached; calling again is safe."""

    exit_code = 4


class NewerDatabaseError(DatabaseError):
    """The database was made by a newer version of this library."""


class IntegrityError(LaminError, RuntimeError):
    """Stored bytes are missing or are not the bytes that were saved."""

    exit_code = 5


class UnsupportedError(LaminError, NotImplementedError):
    """Not available in this environment; the message names what to install."""

    exit_code = 2
