//! Values by stream id, in pages that appear when a stream of theirs is first used: an id costs no
//! search, and an unused one almost nothing.

use crate::serial::StreamId;

/// The values; each is its default until it is changed.
#[derive(Debug)]
pub(crate) struct Pages<T> {
    pages: Vec<Option<Box<[T; PAGE]>>>,
}

impl<T> Default for Pages<T> {
    fn default() -> Self {
        Self { pages: Vec::new() }
    }
}

impl<T: Default> Pages<T> {
    #[inline]
    pub(crate) fn get(&self, stream: StreamId) -> Option<&T> {
        let id = usize::from(stream.0);
        self.pages.get(id / PAGE)?.as_ref()?.get(id % PAGE)
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, stream: StreamId) -> &mut T {
        let id = usize::from(stream.0);
        if !matches!(self.pages.get(id / PAGE), Some(Some(_))) {
            self.add_page(id / PAGE);
        }
        let page = self.pages[id / PAGE].as_mut();
        &mut page.expect("it was there, or was added")[id % PAGE]
    }

    #[cold]
    fn add_page(&mut self, index: usize) {
        if self.pages.len() <= index {
            self.pages.resize_with(index + 1, || None);
        }
        self.pages[index] = Some(Box::new(std::array::from_fn(|_| T::default())));
    }

    /// Makes a value its default again and returns what it was, if its page exists.
    pub(crate) fn take(&mut self, stream: StreamId) -> Option<T> {
        let id = usize::from(stream.0);
        let page = self.pages.get_mut(id / PAGE)?.as_mut()?;
        page.get_mut(id % PAGE).map(std::mem::take)
    }

    /// All values of pages that exist, which are none after that.
    pub(crate) fn take_all(&mut self) -> impl Iterator<Item = T> + use<T> {
        let pages = std::mem::take(&mut self.pages);
        pages.into_iter().flatten().flat_map(|page| *page)
    }

    /// All values of pages that exist.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (StreamId, &T)> {
        let pages = self.pages.iter().enumerate();
        let pages = pages.filter_map(|(index, page)| Some((index, page.as_ref()?)));
        pages.flat_map(|(index, page)| {
            let ids = (index * PAGE..).map(|id| StreamId(id as u16));
            ids.zip(page.iter())
        })
    }
}

/// Streams per page: a page of what is kept for one is one or two KiB.
const PAGE: usize = 32;
