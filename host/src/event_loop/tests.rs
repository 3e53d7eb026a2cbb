//! A loop with real sockets, real time and other threads.

use std::{
    cell::{Cell, RefCell},
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    os::fd::{AsFd, AsRawFd, OwnedFd},
    rc::Rc,
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use rustix::net::{RecvFlags, Shutdown, recv, shutdown};
use tokio::{
    sync::{Notify, oneshot},
    time::Instant,
};

use super::*;

/// Runs `work` on a loop of its own; fails if it hangs.
fn run<F: Future<Output = ()> + 'static>(work: impl FnOnce() -> F + Send + 'static) {
    let (tell, told) = mpsc::channel();
    let running = thread::spawn(move || {
        let event_loop = EventLoop::new().unwrap();
        event_loop.run(async move { work().await }).unwrap();
        tell.send(()).unwrap();
    });
    if let Err(mpsc::RecvTimeoutError::Timeout) = told.recv_timeout(Duration::from_secs(20)) {
        panic!("the loop hangs");
    }
    running.join().unwrap();
}

fn pair() -> (Watched, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let far = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (near, _) = listener.accept().unwrap();
    near.set_nonblocking(true).unwrap();
    (Watched::connected(OwnedFd::from(near)).unwrap(), far)
}

async fn read(socket: &Watched, room: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; room];
    let count = poll_fn(|cx| {
        socket.poll_move(Way::Read, cx, room, || {
            Ok(recv(socket, &mut *bytes, RecvFlags::empty())?.0)
        })
    })
    .await?;
    bytes.truncate(count);
    Ok(bytes)
}

#[test]
fn another_thread_ends_what_it_shares() {
    run(|| async {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        socket.set_nonblocking(true).unwrap();
        let socket = Watched::connecting(OwnedFd::from(socket)).unwrap();
        let (mut far, _) = listener.accept().unwrap();
        let shared = socket.share().unwrap();
        assert_eq!(shared.as_raw_fd(), socket.as_fd().as_raw_fd());
        thread::spawn(move || shutdown(&shared, Shutdown::Both).unwrap());
        assert_eq!(read(&socket, 1).await.unwrap(), b"");
        assert_eq!(far.read(&mut [0]).unwrap(), 0);

        // Of one that was there from the beginning, the other thread gets a descriptor of its own.
        let (socket, mut far) = pair();
        let shared = socket.share().unwrap();
        assert_ne!(shared.as_raw_fd(), socket.as_fd().as_raw_fd());
        shutdown(&shared, Shutdown::Both).unwrap();
        assert_eq!(read(&socket, 1).await.unwrap(), b"");
        assert_eq!(far.read(&mut [0]).unwrap(), 0);
    });
}

#[test]
fn tasks_of_one_thread_wake_each_other() {
    run(|| async {
        let notify = Rc::new(Notify::new());
        let seen = Rc::new(Cell::new(0));
        for _ in 0..3 {
            let (notify, seen) = (Rc::clone(&notify), Rc::clone(&seen));
            spawn_local(async move {
                notify.notified().await;
                seen.set(seen.get() + 1);
            });
        }
        yield_now().await;
        notify.notify_waiters();
        while seen.get() < 3 {
            yield_now().await;
        }
    });
}

#[test]
fn another_thread_wakes_a_loop_that_sleeps() {
    run(|| async {
        for _ in 0..50 {
            let (tell, told) = oneshot::channel();
            let teller = thread::spawn(move || tell.send(7));
            assert_eq!(told.await.unwrap(), 7);
            teller.join().unwrap().unwrap();
        }
    });
}

#[test]
fn many_threads_wake_many_tasks() {
    run(|| async {
        let (mut threads, mut told) = (Vec::new(), Vec::new());
        for _ in 0..8 {
            let (tellers, tasks): (Vec<_>, Vec<_>) =
                (0..100).map(|_| oneshot::channel::<()>()).unzip();
            told.extend(tasks);
            threads.push(thread::spawn(move || {
                tellers.into_iter().for_each(|tell| tell.send(()).unwrap());
            }));
        }
        let left = Rc::new(Cell::new(told.len()));
        for told in told {
            let left = Rc::clone(&left);
            spawn_local(async move {
                told.await.unwrap();
                left.set(left.get() - 1);
            });
        }
        while left.get() > 0 {
            sleep(Duration::from_millis(1)).await;
        }
        threads.into_iter().for_each(|one| one.join().unwrap());
    });
}

#[test]
fn what_another_thread_has_ordered_goes_before_what_came_from_a_socket_after_that() {
    run(|| async {
        for _ in 0..50 {
            let (near, mut far) = pair();
            let (order, mut ordered) = oneshot::channel();
            let done = Rc::new(RefCell::new(Vec::new()));
            let (of_socket, of_order) = (Rc::clone(&done), Rc::clone(&done));
            spawn_local(async move {
                poll_fn(|cx| near.poll_ready(Way::Read, cx)).await.unwrap();
                of_socket.borrow_mut().push("read");
            });
            spawn_local(async move {
                (&mut ordered).await.unwrap();
                of_order.borrow_mut().push("ordered");
            });
            yield_now().await;
            // The loop hears of neither before it has waited again.
            let elsewhere = thread::spawn(move || {
                order.send(()).unwrap();
                far.write_all(b"x").unwrap();
                far
            });
            let far = elsewhere.join().unwrap();
            while done.borrow().len() < 2 {
                yield_now().await;
            }
            assert_eq!(*done.borrow(), ["ordered", "read"]);
            drop(far);
        }
    });
}

#[test]
fn bytes_are_waited_for_and_the_end_is_seen_after_them() {
    run(|| async {
        let (near, mut far) = pair();
        let sending = thread::spawn(move || {
            for _ in 0..3 {
                far.write_all(b"hello").unwrap();
                thread::yield_now();
            }
        });
        let mut seen = Vec::new();
        loop {
            let some = read(&near, 4).await.unwrap();
            if some.is_empty() {
                break;
            }
            seen.extend(some);
        }
        assert_eq!(seen, b"hellohellohello");
        assert!(near.is_read_closed());
        sending.join().unwrap();
    });
}

#[test]
fn an_end_that_came_with_the_last_bytes_is_not_waited_for_for_ever() {
    run(|| async {
        let (near, mut far) = pair();
        far.write_all(b"bye").unwrap();
        drop(far);
        // The loop hears of both at once, and then there is no further event.
        poll_fn(|cx| near.poll_ready(Way::Read, cx)).await.unwrap();
        assert_eq!(read(&near, 100).await.unwrap(), b"bye");
        assert_eq!(read(&near, 100).await.unwrap(), b"");
        assert_eq!(read(&near, 100).await.unwrap(), b"");
    });
}

#[test]
fn a_full_socket_is_waited_for_until_the_other_side_reads() {
    run(|| async {
        let (near, mut far) = pair();
        let block = vec![b'x'; 1 << 16];
        let reading = thread::spawn(move || {
            let mut all = Vec::new();
            far.read_to_end(&mut all).unwrap();
            all.len()
        });
        let mut sent = 0;
        while sent < 8 << 20 {
            let count = poll_fn(|cx| {
                near.poll_move(Way::Write, cx, block.len(), || {
                    Ok(rustix::io::write(&near, &block)?)
                })
            });
            sent += count.await.unwrap();
        }
        drop(near);
        assert_eq!(reading.join().unwrap(), sent);
    });
}

#[test]
fn an_event_of_a_socket_that_is_gone_is_nobodys() {
    run(|| async {
        let (near, mut far) = pair();
        // Somebody else holds the socket too, so its events go on.
        let other = near.as_fd().try_clone_to_owned().unwrap();
        drop(near);
        let (next, mut next_far) = pair();
        far.write_all(b"for nobody").unwrap();
        yield_now().await;
        let asked = next.try_call(Way::Read, || Ok(()));
        assert_eq!(asked.unwrap_err().kind(), io::ErrorKind::WouldBlock);
        next_far.write_all(b"x").unwrap();
        assert_eq!(read(&next, 9).await.unwrap(), b"x");
        drop(other);
    });
}

#[test]
fn timers_go_off_in_order_and_not_early() {
    run(|| async {
        let start = Instant::now();
        let order = Rc::new(RefCell::new(Vec::new()));
        for wait in [30, 10, 20] {
            let order = Rc::clone(&order);
            spawn_local(async move {
                sleep(Duration::from_millis(wait)).await;
                order.borrow_mut().push(wait);
            });
        }
        while order.borrow().len() < 3 {
            sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(*order.borrow(), [10, 20, 30]);
        assert!(start.elapsed() >= Duration::from_millis(30));
    });
}

#[test]
fn a_timer_can_be_moved_both_ways_and_used_again() {
    run(|| async {
        let start = Instant::now();
        let after = |milliseconds| start + Duration::from_millis(milliseconds);
        let mut timer = Timer::new(after(3_600_000));
        timer.reset(after(10));
        poll_fn(|cx| timer.poll(cx)).await;
        assert!(start.elapsed() >= Duration::from_millis(10));
        timer.reset(after(3_600_000));
        poll_fn(|cx| {
            assert!(timer.poll(cx).is_pending());
            Poll::Ready(())
        })
        .await;
        timer.reset(after(20));
        poll_fn(|cx| timer.poll(cx)).await;
        assert!(start.elapsed() >= Duration::from_millis(20));
    });
}

#[test]
fn what_takes_too_long_is_dropped_and_what_does_not_comes_out() {
    run(|| async {
        let never = std::future::pending::<()>();
        assert_eq!(timeout(Duration::from_millis(5), never).await, Err(Elapsed));
        assert_eq!(timeout(Duration::ZERO, async { 3 }).await, Ok(3));
        let slow = async {
            sleep(Duration::from_millis(2)).await;
            4
        };
        assert_eq!(timeout(Duration::MAX, slow).await, Ok(4));
    });
}

#[test]
fn a_task_that_panics_ends_alone() {
    run(|| async {
        let over = Rc::new(Notify::new());
        let told = Rc::clone(&over);
        struct Tell(Rc<Notify>);
        impl Drop for Tell {
            fn drop(&mut self) {
                self.0.notify_one();
            }
        }
        spawn_local(async move {
            let _tell = Tell(told);
            yield_now().await;
            panic!("on purpose");
        });
        over.notified().await;
        yield_now().await;
    });
}

#[test]
fn what_is_left_is_dropped_within_the_loop() {
    struct Holds(Option<Watched>, Arc<Notify>);
    impl Drop for Holds {
        fn drop(&mut self) {
            // Begins another task while the loop is ending, which is dropped as well.
            spawn_local(std::future::pending());
            drop(self.0.take());
            self.1.notify_one();
        }
    }
    let dropped = Arc::new(Notify::new());
    let told = Arc::clone(&dropped);
    run(move || async move {
        let (near, _far) = pair();
        let holds = Holds(Some(near), told);
        spawn_local(async move {
            let _holds = holds;
            sleep(Duration::from_secs(3600)).await;
        });
        yield_now().await;
    });
    let mut told = std::pin::pin!(dropped.notified());
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(told.as_mut().poll(&mut context).is_ready());
}

#[test]
fn a_task_that_always_finds_something_to_read_lets_others_go_first() {
    run(|| async {
        let (near, mut far) = pair();
        far.write_all(&[b'x'; 4096]).unwrap();
        poll_fn(|cx| near.poll_ready(Way::Read, cx)).await.unwrap();
        let others = Rc::new(Cell::new(false));
        let seen = Rc::clone(&others);
        spawn_local(async move { seen.set(true) });
        let mut count = 0;
        while !others.get() {
            count += read(&near, 1).await.unwrap().len();
        }
        assert!((1..=256).contains(&count), "{count} bytes in one go");
    });
}

#[test]
fn a_waker_that_outlives_its_task_wakes_nobody_else() {
    run(|| async {
        let kept = Rc::new(RefCell::new(None));
        let keep = Rc::clone(&kept);
        spawn_local(poll_fn(move |cx| {
            *keep.borrow_mut() = Some(cx.waker().clone());
            Poll::Ready(())
        }));
        yield_now().await;
        let old = kept.take().unwrap();
        // Takes the place that has become free.
        let polled = Rc::new(Cell::new(0));
        let count = Rc::clone(&polled);
        spawn_local(poll_fn(move |_| {
            count.set(count.get() + 1);
            Poll::<()>::Pending
        }));
        yield_now().await;
        assert_eq!(polled.get(), 1);
        old.wake_by_ref();
        thread::spawn(move || old.wake()).join().unwrap();
        yield_now().await;
        yield_now().await;
        assert_eq!(polled.get(), 1);
    });
}
