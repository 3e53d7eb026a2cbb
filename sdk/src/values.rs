//! The values of the inputs that a plugin asked for, as one call of a hook brings them.

use std::{fmt, marker::PhantomData};

use crate::{hook::Hook, needs::Handle};

/// What hook `H` is called with.
pub struct Values<'a, H: Hook> {
    values: &'a [Option<String>],
    hook: PhantomData<fn() -> H>,
}

impl<'a, H: Hook> Values<'a, H> {
    /// The value of an input; none where the exchange has no such thing.
    #[inline]
    pub fn get(&self, handle: Handle<H>) -> Option<&'a str> {
        self.values.get(handle.position)?.as_deref()
    }

    pub(crate) fn new(values: &'a [Option<String>]) -> Self {
        Self {
            values,
            hook: PhantomData,
        }
    }
}

impl<H: Hook> Clone for Values<'_, H> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<H: Hook> Copy for Values<'_, H> {}

impl<H: Hook> fmt::Debug for Values<'_, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.values.fmt(f)
    }
}
