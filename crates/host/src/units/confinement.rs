//! What systemd keeps from a unit's program.

use super::Unit;

/// What systemd keeps from a program that runs as a user without rights: all that a server needs not which has
/// its sockets already, reads files, starts a resolver and makes connections. `pidfd_getfd` is how it takes over
/// its sockets.
pub(super) fn confinement(unit: &Unit, user: &str) -> String {
    let folder =
        unit.folder.as_ref().map(|folder| format!("ReadWritePaths={}\n", folder.display()));
    let limits = unit.limits.map(|limits| limits.of_systemd());
    format!(
        "User={user}\nGroup={user}\nNoNewPrivileges=yes\nCapabilityBoundingSet=\nAmbientCapabilities=\n\
         ProtectSystem=strict\nProtectHome=yes\nPrivateTmp=yes\nPrivateDevices=yes\nProtectClock=yes\n\
         ProtectControlGroups=yes\nProtectHostname=yes\nProtectKernelLogs=yes\nProtectKernelModules=yes\n\
         ProtectKernelTunables=yes\nProtectProc=invisible\nRestrictNamespaces=yes\nRestrictRealtime=yes\n\
         RestrictSUIDSGID=yes\nRestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK\n\
         LockPersonality=yes\nMemoryDenyWriteExecute=yes\nSystemCallArchitectures=native\n\
         SystemCallFilter=@system-service pidfd_getfd\nUMask=0077\n{}{}",
        folder.unwrap_or_default(),
        limits.unwrap_or_default(),
    )
}
