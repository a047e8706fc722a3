//! The threads on which policies run. They are not those that serve connections: a policy that computes
//! holds up nobody's bytes.
//!
//! CPU time is shared fairly between uploads. Each has an account of what it has used, and of all that waits
//! the one with the smallest account has the next turn, for a tick at most. By turns alone, a policy that
//! computes for a whole tick each time would get as much as dozens that need a moment for each block.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake};
use std::thread::JoinHandle;

use tokio::sync::oneshot;

use crate::meter::thread_time;

/// The lowest priority that there is (`nice`).
const LOWEST_PRIORITY: i32 = 19;

/// The threads, for as long as this value lives.
pub(crate) struct Executor {
    queue: Arc<Queue>,
    threads: Vec<JoinHandle<()>>,
}

/// Work that waits for its turn.
#[derive(Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    /// The smallest account first; among equals, what came first.
    tasks: BinaryHeap<Reverse<Ticket>>,
    /// How many have come.
    count: u64,
    /// The account of what had the last turn. Whoever comes back or is new starts from here: nobody saves up
    /// time by not using it.
    level: u64,
    is_closed: bool,
}

/// A task's place in the queue.
struct Ticket {
    account: u64,
    nth: u64,
    task: Arc<Task>,
}

/// What an upload has used, in nanoseconds of CPU time.
#[derive(Debug, Default)]
pub(crate) struct Account(AtomicU64);

type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// One piece of work.
struct Task {
    account: Arc<Account>,
    /// Absent once it has ended.
    work: Mutex<Option<Work>>,
    place: Mutex<Place>,
    is_cancelled: AtomicBool,
    queue: Arc<Queue>,
}

/// Where a task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Nowhere, until something wakes it.
    Resting,
    Queued,
    Running,
    /// Running, and woken meanwhile: to be queued when the turn is over.
    RunningAgain,
}

/// Work under way. Dropping it ends the work the next time it gives way.
pub(crate) struct Running<T> {
    task: Arc<Task>,
    result: oneshot::Receiver<T>,
}

impl Executor {
    /// Starts so many threads, at least one.
    pub(crate) fn start(threads: usize) -> io::Result<Self> {
        Self::start_as("policy", threads, || {})
    }

    /// Starts so many threads that run when nothing else on this machine wants to.
    pub(crate) fn start_in_shadow(threads: usize) -> io::Result<Self> {
        Self::start_as("shadow", threads, || {
            // On Linux this is about the calling thread alone. Where it is refused, they run as others do.
            let _ = rustix::process::setpriority_process(None, LOWEST_PRIORITY);
        })
    }

    fn start_as(name: &str, threads: usize, begin: fn()) -> io::Result<Self> {
        let queue = Arc::new(Queue::default());
        let mut executor = Self {
            queue: Arc::clone(&queue),
            threads: Vec::new(),
        };
        for nth in 0..threads.max(1) {
            let queue = Arc::clone(&queue);
            let thread = std::thread::Builder::new().name(format!("{name}-{nth}"));
            executor.threads.push(thread.spawn(move || {
                begin();
                queue.work_off();
            })?);
        }
        Ok(executor)
    }

    /// Runs work on these threads, from now on; its time goes to this account.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        account: &Arc<Account>,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Running<T> {
        let (give, result) = oneshot::channel();
        let work = async move {
            // Nobody waits for the result of work that was given up.
            let _ = give.send(work.await);
        };
        let task = Arc::new(Task {
            account: Arc::clone(account),
            work: Mutex::new(Some(Box::pin(work))),
            place: Mutex::new(Place::Resting),
            is_cancelled: AtomicBool::new(false),
            queue: Arc::clone(&self.queue),
        });
        Arc::clone(&task).wake();
        Running { task, result }
    }
}

impl Drop for Executor {
    fn drop(&mut self) {
        self.queue.lock().is_closed = true;
        self.queue.changed.notify_all();
        for thread in self.threads.drain(..) {
            // It ends with what it is doing now; work that panicked has been caught.
            let _ = thread.join();
        }
    }
}

impl<T> Future for Running<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        match Pin::new(&mut self.result).poll(cx) {
            Poll::Ready(Ok(result)) => Poll::Ready(result),
            // The engine is being taken down, or our own code panicked: nothing may pass unjudged.
            Poll::Ready(Err(_)) => panic!("the work of a policy thread ended without a result"),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<T> Drop for Running<T> {
    fn drop(&mut self) {
        self.task.is_cancelled.store(true, Ordering::Relaxed);
        // Work that does not run now and waits for nothing ends here and not at some later turn.
        Arc::clone(&self.task).wake();
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a thread does until the queue is closed.
    fn work_off(&self) {
        while let Some(task) = self.next() {
            // A panic in our own code costs its upload, not the thread.
            let turn = std::panic::AssertUnwindSafe(|| task.take_turn());
            let _ = std::panic::catch_unwind(turn);
        }
    }

    fn next(&self) -> Option<Arc<Task>> {
        let mut waiting = self.lock();
        loop {
            if waiting.is_closed {
                return None;
            }
            if let Some(Reverse(ticket)) = waiting.tasks.pop() {
                waiting.level = waiting.level.max(ticket.account);
                return Some(ticket.task);
            }
            waiting = self
                .changed
                .wait(waiting)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Task {
    fn place(&self) -> MutexGuard<'_, Place> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_turn(self: &Arc<Self>) {
        *self.place() = Place::Running;
        let began = thread_time();
        self.poll();
        // What ends with it, such as memory that is given back, is its own as well.
        let used = thread_time().saturating_sub(began);
        self.account.0.fetch_add(used, Ordering::Relaxed);
        let mut place = self.place();
        if *place == Place::RunningAgain {
            *place = Place::Queued;
            drop(place);
            self.enqueue();
        } else {
            *place = Place::Resting;
        }
    }

    fn poll(self: &Arc<Self>) {
        // A panic while it was polled: what is left of it is not polled again.
        let Ok(mut work) = self.work.lock() else {
            return;
        };
        if self.is_cancelled.load(Ordering::Relaxed) {
            *work = None;
            return;
        }
        let Some(running) = work.as_mut() else { return };
        let waker = Arc::clone(self).into();
        let polled = running.as_mut().poll(&mut Context::from_waker(&waker));
        if polled.is_ready() {
            *work = None;
        }
    }

    fn enqueue(self: &Arc<Self>) {
        let mut waiting = self.queue.lock();
        let account = self.account.0.load(Ordering::Relaxed).max(waiting.level);
        self.account.0.store(account, Ordering::Relaxed);
        waiting.count += 1;
        let nth = waiting.count;
        waiting.tasks.push(Reverse(Ticket {
            account,
            nth,
            task: Arc::clone(self),
        }));
        drop(waiting);
        self.queue.changed.notify_one();
    }
}

impl PartialEq for Ticket {
    fn eq(&self, other: &Self) -> bool {
        self.nth == other.nth
    }
}

impl Eq for Ticket {}

impl PartialOrd for Ticket {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Ticket {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.account, self.nth).cmp(&(other.account, other.nth))
    }
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        let mut place = self.place();
        match *place {
            Place::Resting => {
                *place = Place::Queued;
                drop(place);
                self.enqueue();
            }
            // Its place follows from what this turn costs, which is known when it is over.
            Place::Running => *place = Place::RunningAgain,
            Place::Queued | Place::RunningAgain => {}
        }
    }
}

/// Gives way to all that waits.
pub(crate) async fn give_way() {
    let mut has_given_way = false;
    std::future::poll_fn(|cx| {
        if has_given_way {
            return Poll::Ready(());
        }
        has_given_way = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(30);

    #[tokio::test]
    async fn work_gives_its_result() {
        let executor = Executor::start(2).expect("threads");
        let running: Vec<_> = (0..100)
            .map(|number| {
                executor.run(&Arc::default(), async move {
                    give_way().await;
                    number * 2
                })
            })
            .collect();
        for (number, running) in running.into_iter().enumerate() {
            assert_eq!(running.await, number * 2);
        }
    }

    #[tokio::test]
    async fn everybody_has_a_turn_while_one_never_ends() {
        let executor = Executor::start(1).expect("a thread");
        let endless = executor.run(&Arc::default(), async {
            loop {
                give_way().await;
            }
        });
        for number in 0..100 {
            let turn = executor.run(&Arc::default(), async move {
                give_way().await;
                number
            });
            assert_eq!(tokio::time::timeout(LIMIT, turn).await, Ok(number));
        }
        drop::<Running<()>>(endless);
    }

    #[tokio::test]
    async fn who_takes_long_turns_gets_no_more_than_who_takes_short_ones() {
        const ENOUGH: u64 = 40_000_000;
        let executor = Executor::start(1).expect("a thread");
        let is_over = Arc::new(AtomicBool::new(false));
        let busy = |turn: u64| {
            let (account, is_over) = (Arc::<Account>::default(), Arc::clone(&is_over));
            let used = Arc::clone(&account);
            let running = executor.run(&account, async move {
                while !is_over.load(Ordering::Relaxed) {
                    let began = thread_time();
                    while thread_time() - began < turn {
                        std::hint::spin_loop();
                    }
                    if used.0.load(Ordering::Relaxed) > ENOUGH {
                        is_over.store(true, Ordering::Relaxed);
                    }
                    give_way().await;
                }
            });
            (account, running)
        };
        let greedy = busy(2_000_000);
        let modest: Vec<_> = (0..4).map(|_| busy(200_000)).collect();
        greedy.1.await;
        let used = |account: &Account| account.0.load(Ordering::Relaxed);
        for (account, running) in modest {
            running.await;
            assert!(
                used(&account) > used(&greedy.0) / 2,
                "{account:?} {:?}",
                greedy.0
            );
        }
    }

    #[tokio::test]
    async fn work_that_is_given_up_ends() {
        struct Told(mpsc::Sender<()>);
        impl Drop for Told {
            fn drop(&mut self) {
                let _ = self.0.send(());
            }
        }
        let executor = Executor::start(1).expect("a thread");
        let (tell, told) = mpsc::channel();
        let told_when_dropped = Told(tell);
        let endless: Running<()> = executor.run(&Arc::default(), async move {
            let _told = told_when_dropped;
            loop {
                give_way().await;
            }
        });
        drop(endless);
        assert!(told.recv_timeout(LIMIT).is_ok());
        assert_eq!(executor.run(&Arc::default(), async { 1 }).await, 1);
    }

    #[tokio::test]
    async fn a_panic_costs_its_own_work_only() {
        let executor = Executor::start(1).expect("a thread");
        let panicking = executor.run(&Arc::default(), async { panic!("told to") });
        let caught = tokio::spawn(async move {
            let () = panicking.await;
        });
        assert!(caught.await.is_err());
        assert_eq!(executor.run(&Arc::default(), async { 1 }).await, 1);
    }
}
