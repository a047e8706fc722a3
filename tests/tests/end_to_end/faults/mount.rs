//! File systems of a test's own: small ones, and ones that lose power. Only root can mount them; where that is not
//! possible, the test is skipped, and says so by name.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// A file system that goes when this is dropped.
pub(super) struct Mount {
    folder: tempfile::TempDir,
    /// What it is in, where it is an image.
    beneath: Option<Box<Mount>>,
    root: PathBuf,
}

/// Drops what was written and not made durable, as a loss of power does (ext4: `FS_IOC_SHUTDOWN`, not flushing the log).
const POWER_OFF: &str = "import fcntl, os, struct, sys
fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587D, struct.pack('I', 2))";

/// Whether file systems can be mounted here. Where not, the reason is told with the name of the test that is skipped.
pub(super) fn is_possible(test: &str) -> bool {
    let tried = Mount::tmpfs(1 << 20).and_then(|_| Mount::ext4(16 << 20, None).map(|_| ()));
    let Err(error) = tried else {
        return true;
    };
    skipped(test, &format!("{error:#}"));
    false
}

/// Whether a program is there that a test needs.
pub(super) fn has(test: &str, program: &str) -> bool {
    let has = Command::new(program).arg("-V").output().is_ok();
    if !has {
        skipped(test, &format!("{program} is not installed"));
    }
    has
}

/// Not through the macros, whose output the test runner keeps for itself.
fn skipped(test: &str, why: &str) {
    let _ = writeln!(std::io::stderr(), "SKIPPED {test}: {why}");
}

impl Mount {
    /// In memory, of so many bytes.
    pub(super) fn tmpfs(bytes: u64) -> Result<Self> {
        let mount = Self::at(None)?;
        let size = format!("size={bytes}");
        run(
            "mount",
            &["-t", "tmpfs", "-o", &size, "portcullis-test"],
            Some(&mount.root),
        )?;
        Ok(mount)
    }

    /// ext4 in a sparse image of so many bytes, on `beneath` or where temporary files are.
    pub(super) fn ext4(bytes: u64, beneath: Option<Mount>) -> Result<Self> {
        let mount = Self::at(beneath)?;
        let image = mount.image();
        std::fs::File::create(&image)?.set_len(bytes)?;
        run("mkfs.ext4", &["-q", "-F", "-m", "0"], Some(&image))?;
        mount.mount_image()?;
        Ok(mount)
    }

    fn at(beneath: Option<Mount>) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let root = folder.path().join("root");
        std::fs::create_dir(&root)?;
        Ok(Self {
            folder,
            beneath: beneath.map(Box::new),
            root,
        })
    }

    fn image(&self) -> PathBuf {
        let beneath = self.beneath.as_ref().map(|beneath| beneath.root.as_path());
        beneath.unwrap_or(self.folder.path()).join("image")
    }

    fn mount_image(&self) -> Result<()> {
        let image = self.image().display().to_string();
        // Its log is not flushed by itself within a test.
        run(
            "mount",
            &["-o", "loop,commit=300", &image],
            Some(&self.root),
        )
    }

    /// Where it is mounted.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// What is beneath it.
    pub(super) fn beneath(&self) -> Option<&Mount> {
        self.beneath.as_deref()
    }

    /// Mounts it otherwise, such as `ro`, or with another `size=`.
    pub(super) fn again(&self, how: &str) -> Result<()> {
        run(
            "mount",
            &["-o", &format!("remount,{how}")],
            Some(&self.root),
        )
    }

    /// Loses power and comes back. Nobody may have a file open on it.
    pub(super) fn lose_power(&self) -> Result<()> {
        run("python3", &["-c", POWER_OFF], Some(&self.root))?;
        run("umount", &[], Some(&self.root))?;
        self.mount_image()
    }

    /// Takes an image off and puts it on again, so that what the kernel remembers of failures is gone.
    pub(super) fn mount_again(&self) -> Result<()> {
        run("umount", &[], Some(&self.root))?;
        // It repairs what it can; 1 says that it did.
        let _ = run("fsck.ext4", &["-p", "-f"], Some(&self.image()));
        self.mount_image()
    }

    /// Lets everything that is written wait, or go on.
    pub(super) fn freeze(&self, frozen: bool) -> Result<()> {
        let how = if frozen { "-f" } else { "-u" };
        run("fsfreeze", &[how], Some(&self.root))
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // It may not be mounted, or frozen; lazily, because a server may just be ending.
        let _ = run("umount", &["-l"], Some(&self.root));
    }
}

fn run(program: &str, arguments: &[&str], path: Option<&Path>) -> Result<()> {
    let output = Command::new(program)
        .args(arguments)
        .args(path)
        .output()
        .with_context(|| format!("{program} cannot be started"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "{program} {arguments:?}: {}",
        said.trim()
    );
    Ok(())
}
