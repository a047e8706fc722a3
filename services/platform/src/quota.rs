//! How much may lie on a disk, in all and of each cohort.

use std::collections::BTreeMap;

use portcullis_hop::StoreError;
use portcullis_types::{AttributeName, Attributes, DiskName, UploadId};
use serde::Deserialize;

use crate::catalog::{Rows, Usage};
use crate::fault::Fault;

/// The attribute that names the cohort of an upload, unless the configuration says another.
const USUAL_ATTRIBUTE: &str = "cohort";

/// What may lie on a disk.
#[derive(Clone, Debug, Default)]
pub struct Quota {
    /// In all, in bytes. Absent: as much as fits.
    pub bytes: Option<u64>,
    /// Of each cohort. Absent: as much as the disk may hold.
    pub cohorts: Option<CohortQuota>,
}

/// What may lie on a disk of each cohort.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct CohortQuota {
    /// Which attribute of an upload names its cohort.
    #[serde(default = "usual_attribute")]
    pub attribute: AttributeName,
    /// Of each, in bytes.
    pub bytes: u64,
    /// Of some, another number of bytes.
    #[serde(default)]
    pub each: BTreeMap<String, u64>,
}

fn usual_attribute() -> AttributeName {
    USUAL_ATTRIBUTE.parse().expect("is a name")
}

impl Quota {
    /// The cohort that an upload counts for.
    pub fn cohort<'a>(&self, attributes: &'a Attributes) -> Option<&'a str> {
        let cohorts = self.cohorts.as_ref();
        let attribute = cohorts.map_or(USUAL_ATTRIBUTE, |quota| quota.attribute.as_str());
        attributes.get(attribute)
    }

    /// Whether so many more bytes of an upload may lie on a disk, beside what lies there.
    ///
    /// # Errors
    /// The quota of the disk or of the cohort would be used up.
    pub fn check(
        &self,
        rows: &Rows,
        disk: &DiskName,
        attributes: &Attributes,
        bytes: u64,
    ) -> Result<(), Fault> {
        self.check_beside(rows, disk, attributes, bytes, None)
    }

    /// The same for an upload that begins, beside all that are under way.
    ///
    /// # Errors
    /// As above.
    pub fn check_new(
        &self,
        rows: &Rows,
        disk: &DiskName,
        attributes: &Attributes,
        bytes: u64,
        upload: UploadId,
    ) -> Result<(), Fault> {
        self.check_beside(rows, disk, attributes, bytes, Some(upload))
    }

    fn check_beside(
        &self,
        rows: &Rows,
        disk: &DiskName,
        attributes: &Attributes,
        bytes: u64,
        new: Option<UploadId>,
    ) -> Result<(), Fault> {
        if let Some(most) = self.bytes {
            let mut used = Usage::of_versions(rows, disk, None)?;
            if let Some(upload) = new {
                used = used.saturating_add(Usage::of_uploads(rows, disk, None, upload)?);
            }
            if used.saturating_add(bytes) > most {
                return Err(StoreError::OverQuota(format!("the disk `{disk}`")).into());
            }
        }
        let Some((quota, cohort)) = self.cohorts.as_ref().zip(self.cohort(attributes)) else {
            return Ok(());
        };
        let most = quota.each.get(cohort).copied().unwrap_or(quota.bytes);
        let mut used = Usage::of_versions(rows, disk, Some(cohort))?;
        if let Some(upload) = new {
            let of = Some((quota.attribute.as_str(), cohort));
            used = used.saturating_add(Usage::of_uploads(rows, disk, of, upload)?);
        }
        if used.saturating_add(bytes) > most {
            let whose = format!("this {} on the disk `{disk}`", quota.attribute);
            return Err(StoreError::OverQuota(whose).into());
        }
        Ok(())
    }
}
