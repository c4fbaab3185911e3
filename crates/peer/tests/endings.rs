//! What connections leave behind. Alone in its process, since it counts the process's sockets.

mod support;

use std::time::Duration;

use support::*;

/// However it ended, a connection leaves no task and no socket.
#[tokio::test]
async fn endings_leave_no_task_and_no_socket() {
    let tasks = || {
        tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks()
    };
    let sockets = || {
        std::fs::read_dir("/proc/self/fd").map_or(0, |fds| {
            fds.filter_map(|fd| std::fs::read_link(fd.ok()?.path()).ok())
                .filter(|target| target.to_string_lossy().starts_with("socket:"))
                .count()
        })
    };
    let before = (tasks(), sockets());
    for round in 0..40 {
        let Pair { a, b, at_a, at_b } = pair().await;
        at_a.send("ping").await.unwrap();
        patient("ping", at_b.recv()).await;
        // By turns: both close, one closes, all is dropped, and that with messages unsent and unread.
        match round % 4 {
            0 => {
                tokio::join!(patient("close", a.close()), patient("close", b.close()));
            }
            1 => patient("close", a.close()).await,
            2 => {}
            _ => while at_a.try_send(vec![1; 60_000]).is_ok() {},
        }
        let during = sockets();
        drop((a, b, at_a, at_b));
        patient("tasks and sockets", async {
            while (tasks(), sockets()) != before {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        })
        .await;
        assert!(
            round % 4 < 2 || during > before.1,
            "they are counted at all"
        );
    }
}
