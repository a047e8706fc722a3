//! The threads on which policies run. They are not those that serve connections: a policy that computes
//! holds up nobody's bytes.
//!
//! Work waits in one queue and goes to its end each time it gives way, so that every upload has its turn
//! after at most one tick of each of the others.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake};
use std::thread::JoinHandle;

use tokio::sync::oneshot;

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
    tasks: VecDeque<Arc<Task>>,
    is_closed: bool,
}

type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// One piece of work.
struct Task {
    /// Absent once it has ended.
    work: Mutex<Option<Work>>,
    /// Whether it stands in the queue.
    is_waiting: AtomicBool,
    is_cancelled: AtomicBool,
    queue: Arc<Queue>,
}

/// Work under way. Dropping it ends the work the next time it gives way.
pub(crate) struct Running<T> {
    task: Arc<Task>,
    result: oneshot::Receiver<T>,
}

impl Executor {
    /// Starts so many threads, at least one.
    pub(crate) fn start(threads: usize) -> io::Result<Self> {
        let queue = Arc::new(Queue::default());
        let mut executor = Self {
            queue: Arc::clone(&queue),
            threads: Vec::new(),
        };
        for nth in 0..threads.max(1) {
            let queue = Arc::clone(&queue);
            let thread = std::thread::Builder::new().name(format!("policy-{nth}"));
            executor
                .threads
                .push(thread.spawn(move || queue.work_off())?);
        }
        Ok(executor)
    }

    /// Runs work on these threads, from now on.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Running<T> {
        let (give, result) = oneshot::channel();
        let work = async move {
            // Nobody waits for the result of work that was given up.
            let _ = give.send(work.await);
        };
        let task = Arc::new(Task {
            work: Mutex::new(Some(Box::pin(work))),
            is_waiting: AtomicBool::new(false),
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
            if let Some(task) = waiting.tasks.pop_front() {
                return Some(task);
            }
            waiting = self
                .changed
                .wait(waiting)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Task {
    fn take_turn(self: &Arc<Self>) {
        // Woken from here on, it stands in the queue again.
        self.is_waiting.store(false, Ordering::Release);
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
        if running
            .as_mut()
            .poll(&mut Context::from_waker(&waker))
            .is_ready()
        {
            *work = None;
        }
    }
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        if self.is_waiting.swap(true, Ordering::AcqRel) {
            return;
        }
        let queue = Arc::clone(&self.queue);
        queue.lock().tasks.push_back(self);
        queue.changed.notify_one();
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
                executor.run(async move {
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
        let endless = executor.run(async {
            loop {
                give_way().await;
            }
        });
        for number in 0..100 {
            let turn = executor.run(async move {
                give_way().await;
                number
            });
            assert_eq!(tokio::time::timeout(LIMIT, turn).await, Ok(number));
        }
        drop::<Running<()>>(endless);
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
        let endless: Running<()> = executor.run(async move {
            let _told = told_when_dropped;
            loop {
                give_way().await;
            }
        });
        drop(endless);
        assert!(told.recv_timeout(LIMIT).is_ok());
        assert_eq!(executor.run(async { 1 }).await, 1);
    }

    #[tokio::test]
    async fn a_panic_costs_its_own_work_only() {
        let executor = Executor::start(1).expect("a thread");
        let panicking = executor.run(async { panic!("told to") });
        let caught = tokio::spawn(async move {
            let () = panicking.await;
        });
        assert!(caught.await.is_err());
        assert_eq!(executor.run(async { 1 }).await, 1);
    }
}
