//! How much the long tests do: a sample in each run, another one for each commit; all of it in `cargo xtask soak`.

/// Whether everything is to be done (`PORTCULLIS_SOAK`).
pub fn soaks() -> bool {
    std::env::var_os("PORTCULLIS_SOAK").is_some()
}

/// The number that samples are drawn with: `PORTCULLIS_SAMPLE_SEED`, which `cargo xtask` derives from the commit.
pub fn sample_seed() -> u64 {
    let told = std::env::var("PORTCULLIS_SAMPLE_SEED");
    told.ok().and_then(|seed| seed.parse().ok()).unwrap_or(1)
}

/// All of these in a soak; otherwise so many of them, at even distances from a first one that the seed decides.
pub fn sample<T: Clone>(all: &[T], count: usize) -> Vec<T> {
    if soaks() || count >= all.len() {
        return all.to_vec();
    }
    let first = usize::try_from(sample_seed() % all.len() as u64).unwrap_or(0);
    let nth = |nth: usize| all[(first + nth * all.len() / count) % all.len()].clone();
    (0..count).map(nth).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_has_as_many_as_were_asked_for_and_none_twice() {
        let all: Vec<u32> = (0..23).collect();
        let mut some = sample(&all, 5);
        some.sort_unstable();
        some.dedup();
        assert_eq!(some.len(), if soaks() { 23 } else { 5 });
        assert_eq!(sample(&all, 30), all);
    }
}
