//! What a deployment will do to the file, before anything is done: for whoever asks for it to see first.

use super::{Deployment, Run};
use crate::rollout::control::{Control, Edit};

/// The edit that leads to what a deployment ends with: the version, and its traffic if it becomes normal.
///
/// # Errors
///
/// Where the deployment makes no sense.
pub fn proposal<C: Control>(control: &mut C, deployment: &Deployment) -> Result<Edit, C::Error> {
    let portion = control.view().portion(deployment.portion);
    let mut run = Run { control, deployment, portion };
    run.check()?;
    let shares = if deployment.replaces { None } else { run.shares()? };
    Ok(run.declaration(shares))
}
