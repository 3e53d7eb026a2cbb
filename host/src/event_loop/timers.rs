//! Waiting for a point in time.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    future::poll_fn,
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use tokio::{
    task::coop,
    time::{self, Instant, Sleep},
};

use super::own;

/// The timers of a loop, by when they go off; a number tells those of one moment apart.
#[derive(Debug, Default)]
pub(super) struct Timers {
    queue: RefCell<BTreeMap<(Instant, u64), Rc<Alarm>>>,
    next_number: Cell<u64>,
}

#[derive(Debug, Default)]
struct Alarm {
    gone_off: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Timers {
    /// Wakes those whose time has come; says how long it is until the next.
    pub(super) fn fire(&self) -> Option<Duration> {
        if self.queue.borrow().is_empty() {
            return None;
        }
        let now = Instant::now();
        loop {
            let due = {
                let mut queue = self.queue.borrow_mut();
                let next = queue.first_entry()?;
                let (at, _) = *next.key();
                if at > now {
                    return Some(at - now);
                }
                next.remove()
            };
            due.gone_off.set(true);
            // Taken out first: no borrow is held while others are woken.
            let waker = due.waker.borrow().clone();
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }

    fn add(&self, at: Instant, alarm: Rc<Alarm>) -> (Instant, u64) {
        let number = self.next_number.get();
        self.next_number.set(number + 1);
        self.queue.borrow_mut().insert((at, number), alarm);
        (at, number)
    }
}

/// Goes off at a point in time.
#[derive(Debug)]
pub struct Timer(Kind);

#[derive(Debug)]
enum Kind {
    Own {
        timers: Rc<Timers>,
        key: (Instant, u64),
        alarm: Rc<Alarm>,
    },
    Tokio {
        sleep: Pin<Box<Sleep>>,
        /// Whom it wakes, as far as that is known.
        waker: Option<Waker>,
    },
}

impl Timer {
    pub fn new(at: Instant) -> Self {
        Self(match own() {
            Some(parts) => {
                let timers = Rc::clone(&parts.timers);
                let alarm = Rc::new(Alarm::default());
                Kind::Own {
                    key: timers.add(at, Rc::clone(&alarm)),
                    timers,
                    alarm,
                }
            }
            None => Kind::Tokio {
                sleep: Box::pin(time::sleep_until(at)),
                waker: None,
            },
        })
    }

    /// Has it go off at another time, whether or not it has already.
    pub fn reset(&mut self, at: Instant) {
        match &mut self.0 {
            Kind::Own { timers, key, alarm } => {
                timers.queue.borrow_mut().remove(key);
                alarm.gone_off.set(false);
                *key = timers.add(at, Rc::clone(alarm));
            }
            Kind::Tokio { sleep, waker } => {
                sleep.as_mut().reset(at);
                *waker = None;
            }
        }
    }

    /// Ready once it has gone off. Wakes the task that asked last.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.0 {
            Kind::Own { alarm, .. } => {
                if alarm.gone_off.get() {
                    return Poll::Ready(());
                }
                set(&mut alarm.waker.borrow_mut(), cx.waker());
                Poll::Pending
            }
            Kind::Tokio { sleep, waker } => {
                // Telling tokio's the task each time costs about as much as looking for a line's end.
                let known = waker.as_ref();
                if !sleep.is_elapsed() && known.is_some_and(|known| known.will_wake(cx.waker())) {
                    return Poll::Pending;
                }
                // A task that has done a lot in one go is told to come again before the timer hears of it.
                let is_heard = coop::has_budget_remaining();
                let polled = sleep.as_mut().poll(cx);
                *waker = (polled.is_pending() && is_heard).then(|| cx.waker().clone());
                polled
            }
        }
    }
}

fn set(known: &mut Option<Waker>, waker: &Waker) {
    if !known.as_ref().is_some_and(|known| known.will_wake(waker)) {
        *known = Some(waker.clone());
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        if let Kind::Own { timers, key, .. } = &self.0 {
            timers.queue.borrow_mut().remove(key);
        }
    }
}

/// Something took longer than it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the time is over")]
pub struct Elapsed;

pub async fn sleep_until(at: Instant) {
    let mut timer = Timer::new(at);
    poll_fn(|cx| timer.poll(cx)).await;
}

pub async fn sleep(time: Duration) {
    sleep_until(after(time)).await;
}

/// What `work` comes to, unless it takes longer than `limit`; then it is dropped.
pub async fn timeout<T>(limit: Duration, work: impl Future<Output = T>) -> Result<T, Elapsed> {
    timeout_at(after(limit), work).await
}

/// The same with the point in time.
pub async fn timeout_at<T>(at: Instant, work: impl Future<Output = T>) -> Result<T, Elapsed> {
    let mut work = pin!(work);
    // What is done at once needs no timer.
    let mut timer = None;
    poll_fn(|cx| {
        if let Poll::Ready(done) = work.as_mut().poll(cx) {
            return Poll::Ready(Ok(done));
        }
        let timer = timer.get_or_insert_with(|| Timer::new(at));
        timer.poll(cx).map(|()| Err(Elapsed))
    })
    .await
}

/// The moment `time` from now; one too far away to compute is decades away.
fn after(time: Duration) -> Instant {
    let now = Instant::now();
    let decades = Duration::from_secs(86_400 * 365 * 30);
    now.checked_add(time).unwrap_or_else(|| now + decades)
}
