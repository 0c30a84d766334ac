//! State that a layer above keeps with a waitset, and that ends with the waitset.

use core::any::Any;
use core::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use crate::sync::Mutex;
use crate::waitset::Waitset;

/// State of a layer above: each waitset has at most one value of each type.
pub(crate) trait Extension: Any {
    /// Called when the waitset closes, before its sources are abandoned.
    fn waitset_closes(&self) {}

    /// Called when the waitset has closed: nothing of it will run any more.
    fn waitset_closed(&self) {}
}

/// State of a layer above with a shared waitset: each has at most one value of each type.
pub(crate) trait SharedExtension: Any + Send + Sync {
    /// Called when the waitset closes, before its sources are abandoned.
    fn waitset_closes(&self);
}

/// The extensions of one shared waitset, in the order in which they were first used.
#[derive(Default)]
pub(super) struct SharedExtensions(Mutex<Vec<Arc<dyn SharedExtension>>>);

impl SharedExtensions {
    pub(super) fn get<T: SharedExtension + Default>(&self) -> Arc<T> {
        let find = |known: &Arc<dyn SharedExtension>| {
            let known: Arc<dyn Any + Send + Sync> = Arc::clone(known) as Arc<dyn Any + Send + Sync>;
            known.downcast::<T>().ok()
        };
        let mut all = self.0.lock();
        let known = all.iter().find_map(find);
        known.unwrap_or_else(|| {
            let new = Arc::new(T::default());
            all.push(Arc::clone(&new) as Arc<dyn SharedExtension>);
            new
        })
    }

    pub(super) fn all(&self) -> Vec<Arc<dyn SharedExtension>> {
        self.0.lock().clone()
    }
}

/// The extensions of one waitset, in the order in which they were first used.
#[derive(Default)]
pub(super) struct Extensions(RefCell<Vec<Rc<dyn Extension>>>);

impl Extensions {
    fn get<T: Extension + Default>(&self) -> Rc<T> {
        let find = |known: &Rc<dyn Extension>| {
            let known: Rc<dyn Any> = Rc::clone(known) as Rc<dyn Any>;
            known.downcast::<T>().ok()
        };
        let known = self.0.borrow().iter().find_map(find);
        known.unwrap_or_else(|| {
            let new = Rc::new(T::default());
            self.0.borrow_mut().push(Rc::clone(&new) as Rc<dyn Extension>);
            new
        })
    }

    /// Returns all of them, for the end of the waitset; none if a process exits while they are borrowed.
    pub(super) fn all(&self) -> Vec<Rc<dyn Extension>> {
        self.0.try_borrow().map(|all| all.clone()).unwrap_or_default()
    }
}

impl Waitset {
    /// Returns the extension of type `T`, made by the first call.
    pub(crate) fn extension<T: Extension + Default>(&self) -> Rc<T> {
        self.0.extensions.get()
    }
}

#[cfg(test)]
mod tests {
    use core::cell::Cell;

    use super::*;

    #[derive(Default)]
    struct Steps(Rc<Cell<u32>>);

    impl Extension for Steps {
        fn waitset_closes(&self) {
            self.0.set(self.0.get() * 10 + 1);
        }

        fn waitset_closed(&self) {
            self.0.set(self.0.get() * 10 + 2);
        }
    }

    #[derive(Default)]
    struct Other;

    impl Extension for Other {}

    #[test]
    fn waitset_has_one_extension_of_each_type() {
        let waitset = Waitset::new();
        let first = waitset.extension::<Steps>();
        let _ = waitset.extension::<Other>();
        assert!(Rc::ptr_eq(&first, &waitset.extension::<Steps>()));
        assert!(!Rc::ptr_eq(&first, &Waitset::new().extension::<Steps>()));
    }

    #[test]
    fn extension_runs_before_and_after_the_waitset_closes() {
        let waitset = Waitset::new();
        let steps = Rc::clone(&waitset.extension::<Steps>().0);
        drop(waitset);
        assert_eq!(steps.get(), 12);
    }
}
