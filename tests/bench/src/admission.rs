//! What a policy costs that looks at the headers only: beside bare wasmtime, and five of them beside one.

use std::time::{Duration, Instant};

use anyhow::{Error, Result, ensure};
use portcullis_engine::Engine;
use wasmtime::component::{Component, Linker};
use wasmtime::{Config, InstanceAllocationStrategy, PoolingAllocationConfig, Store};

use crate::figure::{Figure, median};
use crate::sandbox::{Sandbox, admitted, upload};

mod bindings {
    wasmtime::component::bindgen!({
        path: "../../wit/0.1",
        world: "validation-policy",
        exports: { default: async },
    });
}

use bindings::portcullis::policy::types;

/// How often each is done in a round, and how many rounds there are, in turns.
const TIMES: u32 = 50;
const ROUNDS: usize = 201;

pub(crate) async fn measure(sandbox: &Sandbox) -> Result<Vec<Figure>> {
    let bare = Bare::new(sandbox)?;
    let none = sandbox.engine("").await?;
    let chain = |count: usize| -> String {
        let policy = |nth| sandbox.told(&format!("headers-{nth}"), "do = 'headers-only'", "");
        (0..count).map(policy).collect()
    };
    let (one, five) = (
        sandbox.engine(&chain(1)).await?,
        sandbox.engine(&chain(5)).await?,
    );
    let (mut floor, mut with_none, mut with_one, mut with_five) = (vec![], vec![], vec![], vec![]);
    let (mut to_floor, mut to_one) = (vec![], vec![]);
    for _ in 0..ROUNDS {
        let bare = bare.round().await?;
        // Whatever disturbs a round disturbs what is subtracted from it as well.
        let nothing = round(&none).await?;
        let of_one = round(&one).await?.saturating_sub(nothing);
        let of_five = round(&five).await?.saturating_sub(nothing);
        to_floor.push(of_one.as_secs_f64() / bare.as_secs_f64());
        to_one.push(of_five.as_secs_f64() / of_one.as_secs_f64());
        floor.push(bare);
        with_none.push(nothing);
        with_one.push(of_one);
        with_five.push(of_five);
    }
    let (floor, none) = (median(floor), median(with_none));
    let (one, five) = (median(with_one), median(with_five));
    let micros = |time: Duration| format!("{:.1} us", time.as_secs_f64() * 1e6);
    // Of rounds that lie beside each other, so that what slows the machine down slows both.
    let middle = |mut ratios: Vec<f64>| {
        ratios.sort_by(f64::total_cmp);
        ratios.get(ratios.len() / 2).copied()
    };
    Ok(vec![
        Figure {
            what: "a headers-only policy, to store + instance + configure + admit in bare wasmtime"
                .to_owned(),
            measured: micros(one),
            beside: micros(floor),
            ratio: middle(to_floor),
            wanted: "<= 1.50",
        },
        Figure {
            what: "five headers-only policies, to one".to_owned(),
            measured: micros(five),
            beside: micros(one),
            ratio: middle(to_one),
            wanted: "<= 5.50",
        },
        Figure {
            what: "an upload without a validation policy: hand-off and route".to_owned(),
            measured: micros(none),
            beside: String::new(),
            ratio: None,
            wanted: "",
        },
    ])
}

/// The mean time of one admission.
async fn round(engine: &Engine) -> Result<Duration> {
    let upload = upload(&[])?;
    let started = Instant::now();
    for _ in 0..TIMES {
        drop(admitted(engine, &upload).await?);
    }
    Ok(started.elapsed() / TIMES)
}

/// The same component with nothing around it.
struct Bare {
    engine: wasmtime::Engine,
    policy: bindings::ValidationPolicyPre<()>,
}

impl Bare {
    fn new(sandbox: &Sandbox) -> Result<Self> {
        let mut pool = PoolingAllocationConfig::default();
        pool.max_memory_size(1 << 30);
        let mut config = Config::new();
        config
            .allocation_strategy(InstanceAllocationStrategy::Pooling(pool))
            .epoch_interruption(true)
            .concurrency_support(false);
        let engine = wasmtime::Engine::new(&config).map_err(Error::msg)?;
        let component =
            Component::from_file(&engine, sandbox.told_component()).map_err(Error::msg)?;
        let mut linker = Linker::new(&engine);
        linker
            .define_unknown_imports_as_traps(&component)
            .map_err(Error::msg)?;
        let policy = linker.instantiate_pre(&component).map_err(Error::msg)?;
        let policy = bindings::ValidationPolicyPre::new(policy).map_err(Error::msg)?;
        Ok(Self { engine, policy })
    }

    async fn round(&self) -> Result<Duration> {
        let upload = types::Upload {
            id: "0".repeat(32),
            filename: "bench.csv".to_owned(),
            folder: None,
            media_type: None,
            length: None,
            attributes: Vec::new(),
            principal: types::Principal {
                subject: "(anonymous)".to_owned(),
                groups: Vec::new(),
            },
            submission: None,
            received_at_ms: 0,
        };
        let started = Instant::now();
        for _ in 0..TIMES {
            let mut store = Store::new(&self.engine, ());
            store.set_epoch_deadline(1);
            let policy = self.policy.instantiate_async(&mut store).await;
            let policy = policy.map_err(Error::msg)?;
            let policy = policy.portcullis_policy_validation();
            let settings = r#"{"do":"headers-only"}"#;
            let configured = policy.call_configure(&mut store, settings).await;
            ensure!(configured.map_err(Error::msg)?.is_ok(), "configure refuses");
            let admitted = policy.call_admit(&mut store, &upload).await;
            ensure!(admitted.map_err(Error::msg)?.is_ok(), "admit fails");
        }
        Ok(started.elapsed() / TIMES)
    }
}
