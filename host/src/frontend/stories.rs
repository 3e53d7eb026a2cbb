//! Which exchanges are looked at closely, and where their stories are kept: some per worker, the oldest going
//! first, and a recording if somebody has asked for one. What is kept is JSON text, masked already.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use super::{
    notes::{Attention, Note, Notes},
    tell::Ending,
};
use crate::{
    config::Why,
    model::{FrontendName, Share},
    telemetry::story::{Kept, Mask, RecordEnd, Step, Story},
};

/// Lists of notes that a worker keeps for coming exchanges.
const SPARE_LISTS: usize = 64;
/// What waits to be fetched of a recording; what comes on top of it is lost.
const MOST_RECORDED: usize = 8 << 20;
/// The largest exchange that is recorded.
const LARGEST_RECORDED: usize = 1 << 20;
/// A place for stories is filled at most once in this time: whoever comes to read them would find nothing of
/// what went through faster, and it would cost each exchange that fails as much as serving one.
const FILLING: Duration = Duration::from_secs(1);

/// The stories of all workers, and the recording that runs.
#[derive(Debug, Default)]
pub struct Stories {
    shelves: Mutex<Vec<Arc<Shelf>>>,
    recording: Mutex<Option<Arc<Recording>>>,
    /// Changes when the recording does.
    change: AtomicU64,
}

/// The stories of one worker. Only whoever asks for one ever holds the lock besides it.
#[derive(Debug, Default)]
struct Shelf(Mutex<Shelves>);

#[derive(Debug, Default)]
struct Shelves {
    sampled: VecDeque<KeptStory>,
    failed: VecDeque<KeptStory>,
    /// Failures that came too fast to be told.
    untold: u64,
}

/// A story as it is kept.
#[derive(Debug, Clone)]
pub struct KeptStory {
    pub id: Arc<str>,
    /// Microseconds since 1970.
    pub at: u64,
    /// A [`Story`].
    pub json: Arc<[u8]>,
}

/// What is to be recorded, and what has been.
#[derive(Debug)]
pub struct Recording {
    pub share: Share,
    /// All frontends if there is none.
    pub frontend: Option<String>,
    /// Calls of that plugin alone.
    pub plugin: Option<String>,
    pub mask: Mask,
    lines: Mutex<Vec<u8>>,
    kept: AtomicU64,
    lost: AtomicU64,
    over: AtomicBool,
}

/// There is a recording already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Busy;

impl Stories {
    /// The story of that id, if it is still there.
    pub fn find(&self, id: &str) -> Option<KeptStory> {
        self.shelves().iter().find_map(|shelf| {
            let shelves = shelf.lock();
            let mut all = shelves.sampled.iter().chain(&shelves.failed);
            all.find(|story| &*story.id == id).cloned()
        })
    }

    /// All that are there, the latest first, and how many failures came too fast to be told.
    pub fn all(&self) -> (Vec<KeptStory>, u64) {
        let mut all = Vec::new();
        let mut untold = 0;
        for shelf in self.shelves().iter() {
            let shelves = shelf.lock();
            all.extend(shelves.sampled.iter().chain(&shelves.failed).cloned());
            untold += shelves.untold;
        }
        all.sort_by_key(|story| std::cmp::Reverse(story.at));
        (all, untold)
    }

    /// Begins a recording; one at a time. It goes on until it is [stopped](Self::stop).
    pub fn record(&self, recording: Recording) -> Result<Arc<Recording>, Busy> {
        let mut current = lock(&self.recording);
        if current.is_some() {
            return Err(Busy);
        }
        let recording = Arc::new(recording);
        *current = Some(Arc::clone(&recording));
        self.change.fetch_add(1, Ordering::Release);
        Ok(recording)
    }

    pub fn stop(&self, recording: &Arc<Recording>) {
        recording.over.store(true, Ordering::Relaxed);
        let mut current = lock(&self.recording);
        if current
            .as_ref()
            .is_some_and(|it| Arc::ptr_eq(it, recording))
        {
            *current = None;
            self.change.fetch_add(1, Ordering::Release);
        }
    }

    fn shelves(&self) -> MutexGuard<'_, Vec<Arc<Shelf>>> {
        lock(&self.shelves)
    }
}

impl Shelf {
    fn lock(&self) -> MutexGuard<'_, Shelves> {
        lock(&self.0)
    }
}

impl Recording {
    pub fn new(share: Share, frontend: Option<String>, plugin: Option<String>, mask: Mask) -> Self {
        Self {
            share,
            frontend,
            plugin,
            mask,
            lines: Mutex::default(),
            kept: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            over: AtomicBool::new(false),
        }
    }

    /// The lines since the last time.
    pub fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *lock(&self.lines))
    }

    pub fn end(&self) -> RecordEnd {
        RecordEnd {
            exchanges: self.kept.load(Ordering::Relaxed),
            lost: self.lost.load(Ordering::Relaxed),
        }
    }

    fn is_of(&self, frontend: &FrontendName) -> bool {
        let wanted = self.frontend.as_deref();
        wanted.is_none_or(|wanted| wanted == frontend.as_str())
    }

    fn is_full(&self) -> bool {
        lock(&self.lines).len() >= MOST_RECORDED
    }

    fn lose(&self) {
        self.lost.fetch_add(1, Ordering::Relaxed);
    }

    /// Leaves out the calls that are not wanted; none if there is nothing left.
    fn wanted(&self, mut story: Story) -> Option<Story> {
        let Some(plugin) = &self.plugin else {
            return Some(story);
        };
        let of_plugin: Vec<String> = story
            .steps
            .iter()
            .filter_map(|step| match step {
                Step::Asked(asked) if asked.plugin == *plugin || asked.place == *plugin => {
                    Some(asked.place.clone())
                }
                _ => None,
            })
            .collect();
        story.steps.retain(|step| match step {
            Step::Asked(asked) => of_plugin.contains(&asked.place),
            Step::Observed { place, .. } => of_plugin.contains(place),
            Step::NoConnection { .. } => false,
        });
        (!story.steps.is_empty()).then_some(story)
    }

    fn add(&self, story: &Story) {
        let Ok(json) = serde_json::to_vec(story) else {
            return self.lose();
        };
        let mut lines = lock(&self.lines);
        if json.len() > LARGEST_RECORDED || lines.len() + json.len() > MOST_RECORDED {
            drop(lines);
            return self.lose();
        }
        lines.extend_from_slice(b"{\"exchange\":");
        lines.extend_from_slice(&json);
        lines.extend_from_slice(b"}\n");
        drop(lines);
        self.kept.fetch_add(1, Ordering::Relaxed);
    }
}

/// What a worker needs of it.
#[derive(Debug)]
pub struct LocalStories {
    shared: Arc<Stories>,
    shelf: Arc<Shelf>,
    samples: Sampler,
    recording: RefCell<Option<Arc<Recording>>>,
    recorded: Sampler,
    /// The change that was seen last.
    seen: Cell<u64>,
    spare: RefCell<Vec<Vec<Note>>>,
    /// How many failures are still told until the pace is looked at again.
    allowed: Cell<usize>,
    allowed_since: Cell<Option<Instant>>,
}

impl LocalStories {
    pub fn new(shared: Arc<Stories>) -> Self {
        let shelf = Arc::new(Shelf::default());
        shared.shelves().push(Arc::clone(&shelf));
        Self {
            shelf,
            samples: Sampler::default(),
            recording: RefCell::default(),
            recorded: Sampler::default(),
            // Another than the first, so that a recording that runs is seen.
            seen: Cell::new(u64::MAX),
            spare: RefCell::default(),
            allowed: Cell::new(0),
            allowed_since: Cell::new(None),
            shared,
        }
    }

    /// Begins an exchange: decides how closely it is looked at.
    pub fn open(&self, why: &Why, frontend: &FrontendName) -> Notes {
        let attention = Attention {
            failures: why.failures,
            sampled: self.samples.takes(why.share),
            recorded: self.is_recorded(frontend),
        };
        if attention == Attention::default() {
            return Notes::default();
        }
        let list = self.spare.borrow_mut().pop().unwrap_or_default();
        Notes::new(attention, list)
    }

    fn is_recorded(&self, frontend: &FrontendName) -> bool {
        let change = self.shared.change.load(Ordering::Relaxed);
        if change != self.seen.get() {
            self.seen.set(change);
            self.recording.replace(lock(&self.shared.recording).clone());
        }
        let recording = self.recording.borrow();
        recording.as_ref().is_some_and(|recording| {
            recording.is_of(frontend) && self.recorded.takes(recording.share)
        })
    }

    /// Ends an exchange: its story is told to whoever is to have it.
    pub fn close(&self, why: &Why, failed: bool, ending: &Ending<'_>) {
        let attention = ending.notes.attention();
        let failed = why.failures && (failed || ending.notes.has_failure());
        if attention.recorded {
            self.record(ending);
        }
        let kept = match (failed, attention.sampled) {
            (true, _) if self.may_tell(why) => Kept::Failed,
            (_, true) => Kept::Sampled,
            (true, false) => {
                self.shelf.lock().untold += 1;
                return;
            }
            (false, false) => return,
        };
        let story = ending.story(kept, &Mask::secrets(&why.mask));
        let (id, at) = (story.id.as_str().into(), story.at);
        let json = story.fitted(why.max_bytes).into();
        let story = KeptStory { id, at, json };
        let shelves = &mut *self.shelf.lock();
        let shelf = match kept {
            Kept::Failed => &mut shelves.failed,
            Kept::Sampled | Kept::Recorded => &mut shelves.sampled,
        };
        while shelf.len() >= why.keep {
            shelf.pop_front();
        }
        shelf.push_back(story);
    }

    /// Takes the notes of an exchange back.
    pub fn give(&self, notes: Notes) {
        let mut list = notes.into_list();
        let mut spare = self.spare.borrow_mut();
        if list.capacity() > 0 && spare.len() < SPARE_LISTS {
            list.clear();
            spare.push(list);
        }
    }

    /// Whether one more failure can be told: no more in a second than are kept.
    fn may_tell(&self, why: &Why) -> bool {
        let now = Instant::now();
        let since = self.allowed_since.get();
        if since.is_none_or(|since| now.saturating_duration_since(since) >= FILLING) {
            self.allowed_since.set(Some(now));
            self.allowed.set(why.keep);
        }
        match self.allowed.get() {
            0 => false,
            left => {
                self.allowed.set(left - 1);
                true
            }
        }
    }

    fn record(&self, ending: &Ending<'_>) {
        let Some(recording) = self.recording.borrow().clone() else {
            return;
        };
        if recording.over.load(Ordering::Relaxed) {
            return;
        }
        // Nothing is told that nobody would hear.
        if recording.is_full() {
            return recording.lose();
        }
        let story = ending.story(Kept::Recorded, &recording.mask);
        if let Some(story) = recording.wanted(story) {
            recording.add(&story);
        }
    }
}

/// Takes a share of what it is asked about, by chance.
#[derive(Debug)]
struct Sampler {
    dice: Cell<u64>,
}

impl Default for Sampler {
    fn default() -> Self {
        let mut seed = [0; 8];
        // Without chance it takes the same share, at places that could be known.
        let _ = getrandom::fill(&mut seed);
        Self {
            dice: Cell::new(u64::from_ne_bytes(seed) | 1),
        }
    }
}

impl Sampler {
    fn takes(&self, share: Share) -> bool {
        if share == Share::NONE {
            return false;
        }
        // Xorshift: a few instructions, and good enough to choose by.
        let mut dice = self.dice.get();
        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        self.dice.set(dice);
        (dice >> 32) < share.of_numbers()
    }
}

/// A thread that panicked has not left anything half done here.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sampler_takes_about_its_share() {
        for (share, least, most) in [("0%", 0, 0), ("1%", 800, 1200), ("100%", 100_000, 100_000)] {
            let (sampler, share) = (Sampler::default(), share.parse().unwrap());
            let taken = (0..100_000).filter(|_| sampler.takes(share)).count();
            assert!((least..=most).contains(&taken), "{share}: {taken}");
        }
    }

    #[test]
    fn there_is_one_recording_at_a_time() {
        let stories = Stories::default();
        let recording = || Recording::new(Share::ALL, None, None, Mask::Nothing);
        let first = stories.record(recording()).unwrap();
        assert_eq!(stories.record(recording()).unwrap_err(), Busy);
        stories.stop(&first);
        assert!(stories.record(recording()).is_ok());
    }

    #[test]
    fn a_worker_notices_a_recording_and_its_end() {
        let stories = Arc::new(Stories::default());
        let local = LocalStories::new(Arc::clone(&stories));
        let (web, other) = (FrontendName::new("web"), FrontendName::new("other"));
        assert!(!local.is_recorded(&web));
        let of_web = Recording::new(Share::ALL, Some("web".to_owned()), None, Mask::Nothing);
        let recording = stories.record(of_web).unwrap();
        assert!(local.is_recorded(&web) && !local.is_recorded(&other));
        stories.stop(&recording);
        assert!(!local.is_recorded(&web));
    }

    #[test]
    fn failures_are_told_no_faster_than_they_can_be_kept() {
        let local = LocalStories::new(Arc::default());
        let why = Why {
            keep: 3,
            ..Why::default()
        };
        let told = (0..100).filter(|_| local.may_tell(&why)).count();
        assert!((3..=6).contains(&told), "{told}");
    }
}
