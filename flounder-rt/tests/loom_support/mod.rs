//! Loom's types behind the names of the crate, and what the models are made of.

// Each model uses its part of this.
#![allow(dead_code, unreachable_pub, unused_imports, unused_macros)]

use sync::{Condvar, Mutex};

pub(crate) mod sync {
    //! What `crate::sync` is to the sources, with loom's types.

    use std::ffi::OsString;
    use std::ops::{Deref, DerefMut};
    use std::sync::OnceLock;
    use std::time::Instant;

    pub(crate) use loom::sync::atomic::{
        AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering, fence,
    };

    /// Returns true if `FLOUNDER_DEFECT` names this defect.
    pub(crate) fn planted(defect: &str) -> bool {
        static NAMED: OnceLock<Option<OsString>> = OnceLock::new();
        let named = NAMED.get_or_init(|| std::env::var_os("FLOUNDER_DEFECT"));
        named.as_ref().is_some_and(|named| named == defect)
    }

    /// Loom's takes no `const`.
    macro_rules! one_for_each_thread {
        ($(#[$attribute:meta])* static $name:ident: $kind:ty = const { $value:expr };) => {
            loom::thread_local! { $(#[$attribute])* static $name: $kind = $value; }
        };
    }
    pub(crate) use one_for_each_thread as thread_local;

    pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

    pub(crate) struct MutexGuard<'a, T>(Option<loom::sync::MutexGuard<'a, T>>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(loom::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            MutexGuard(Some(self.0.lock().expect("nobody panics with it")))
        }
    }

    const HELD: &str = "it is given up only inside a wait";

    impl<T> Deref for MutexGuard<'_, T> {
        type Target = T;

        fn deref(&self) -> &T {
            self.0.as_ref().expect(HELD)
        }
    }

    impl<T> DerefMut for MutexGuard<'_, T> {
        fn deref_mut(&mut self) -> &mut T {
            self.0.as_mut().expect(HELD)
        }
    }

    pub(crate) struct Condvar(loom::sync::Condvar);

    impl Default for Condvar {
        fn default() -> Self {
            Self(loom::sync::Condvar::new())
        }
    }

    impl Condvar {
        pub(crate) fn wait<T>(&self, guard: &mut MutexGuard<'_, T>, deadline: Option<Instant>) {
            assert!(deadline.is_none(), "a model has no clock");
            let held = guard.0.take().expect(HELD);
            guard.0 = Some(self.0.wait(held).expect("nobody panics with it"));
        }

        pub(crate) fn notify_one(&self) {
            self.0.notify_one();
        }
    }
}

/// A bell that a thread can block on, as on the real one in the kernel.
#[derive(Default)]
pub(crate) struct Bell {
    rings: Mutex<bool>,
    heard: Condvar,
}

impl<T: Default> Default for Mutex<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl Bell {
    pub(crate) fn ring(&self) {
        *self.rings.lock() = true;
        self.heard.notify_one();
    }

    pub(crate) fn wait(&self) {
        let mut rings = self.rings.lock();
        while !*rings {
            self.heard.wait(&mut rings, None);
        }
        *rings = false;
    }

    /// What rang before is as nothing.
    pub(crate) fn forget(&self) {
        *self.rings.lock() = false;
    }
}

pub(crate) fn model(preemptions: Option<usize>, run: impl Fn() + Sync + Send + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = preemptions;
    model.check(run);
}
