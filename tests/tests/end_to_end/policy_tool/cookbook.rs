//! The ten policies of the cookbook: each is compiled, and does what its cases say.

use std::fs;
use std::path::Path;

use anyhow::{Result, ensure};
use portcullis_tests::gateway::binary;

use super::{ROOT, policy};

#[test]
fn every_policy_of_the_cookbook_does_what_its_cases_say() -> Result<()> {
    let guide = fs::read_to_string(format!("{ROOT}/docs/policies.md"))?;
    let mut count = 0;
    for folder in fs::read_dir(format!("{ROOT}/plugins/examples/fixtures"))? {
        let name = folder?.file_name().to_string_lossy().into_owned();
        let component = binary("portcullis").with_file_name(format!("../examples/{name}.wasm"));
        let (component, fixtures) = (
            component.to_string_lossy(),
            format!("plugins/examples/fixtures/{name}"),
        );
        let arguments = ["test", &component, "--fixtures", &fixtures];
        let said = policy(Path::new(ROOT), &arguments)?;
        ensure!(said.ok, "{name}: {}{}", said.out, said.err);
        let link = format!("[{name}](../plugins/examples/examples/{name}.rs)");
        ensure!(guide.contains(&link), "the guide does not show {name}");
        ensure!(
            Path::new(ROOT)
                .join(format!("plugins/examples/examples/{name}.rs"))
                .exists(),
            "there is no {name}"
        );
        count += 1;
    }
    ensure!(count == 10, "there are {count}");
    Ok(())
}
