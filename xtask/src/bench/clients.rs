//! Several clients at once.

use std::ops::Range;
use std::thread;
use std::time::Instant;

use anyhow::{Result, anyhow};

/// How many there are.
pub(crate) const CLIENTS: usize = 16;

/// The seconds for so many things, divided among the clients; each is told its number and those that are its own.
pub(crate) fn by_clients(
    things: usize,
    client: impl Fn(usize, Range<usize>) -> Result<()> + Sync,
) -> Result<f64> {
    let started = Instant::now();
    let client = &client;
    thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| scope.spawn(move || client(number, 0..share(things, number))))
            .collect();
        for client in clients {
            client.join().map_err(|_| anyhow!("a client panicked"))??;
        }
        Ok(started.elapsed().as_secs_f64())
    })
}

/// How many of so many things a client has.
fn share(things: usize, client: usize) -> usize {
    things / CLIENTS + usize::from(client < things % CLIENTS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_share_everything() {
        for things in [0, 1, CLIENTS - 1, CLIENTS, 500, 4_000] {
            let shares = (0..CLIENTS).map(|client| share(things, client));
            assert_eq!(shares.sum::<usize>(), things);
        }
    }
}
