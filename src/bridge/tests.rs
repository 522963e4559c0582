use super::*;
use crate::sandbox::{Cluster, Config as ClusterConfig};

async fn cluster(dir: &Path) -> (Cluster, DcTable) {
    let cluster = Cluster::start(ClusterConfig::new(dir)).await.unwrap();
    let table = DcTable::read(&cluster.file()).unwrap();
    (cluster, table)
}

fn table(ip: &str) -> DcTable {
    let key = DcTable::production().rsa_public_keys;
    let dc = DcAddress { id: 1, ip: ip.parse().unwrap(), port: 9, media_only: false, cdn: false, tls_port: None };
    DcTable { layer: None, dcs: vec![dc], rsa_public_keys: key, test: false, web_hosts: Default::default(), tls_root: None }
}

#[tokio::test]
async fn nothing_but_loopback_is_bridged() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = Config::new(table("127.0.0.1"), dir.path());
    for elsewhere in ["0.0.0.0:0", "192.0.2.1:0", "[::]:0"] {
        config.listen = elsewhere.parse().unwrap();
        assert!(matches!(Bridge::start(config.clone()).await, Err(StartError::ListenElsewhere(_))), "{elsewhere}");
    }
    let away = Bridge::start(Config::new(table("149.154.167.51"), dir.path())).await;
    assert!(matches!(away, Err(StartError::LeadsElsewhere { dc: DcId(1), .. })));
    let mut nowhere = table("127.0.0.1");
    nowhere.dcs[0].cdn = true;
    assert!(matches!(Bridge::start(Config::new(nowhere, dir.path())).await, Err(StartError::Nowhere)));
    assert!(std::fs::read_dir(dir.path()).unwrap().next().is_none(), "a refusal makes no files");
}

#[tokio::test]
async fn the_state_is_private_kept_and_nobody_elses() {
    let (box_dir, outer) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (cluster, to) = cluster(box_dir.path()).await;
    let dir = outer.path().join("state");
    let config = Config::new(to.clone(), &dir);
    let first = Bridge::start(config.clone()).await.unwrap();
    let (key, entrances) = (first.rsa_public_key().to_owned(), first.entrances().to_vec());
    assert_eq!(entrances.len(), 3);
    assert!(matches!(Bridge::start(config.clone()).await, Err(StartError::Busy(_))));
    let written = DcTable::read(&first.file()).unwrap();
    assert_eq!((written.rsa_public_keys, written.layer), (vec![key.clone()], to.layer));
    first.shutdown().await;

    let again = Bridge::start(config).await.unwrap();
    assert_eq!((again.rsa_public_key(), again.entrances()), (key.as_str(), &entrances[..]), "same key, same ports");
    again.shutdown().await;
    let mut others = to.clone();
    others.rsa_public_keys = DcTable::production().rsa_public_keys;
    assert!(matches!(Bridge::start(Config::new(others, &dir)).await, Err(StartError::OtherCluster(_))));
    assert!(matches!(Bridge::start(Config::new(to, box_dir.path())).await, Err(StartError::ClusterDir(_))));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(std::fs::metadata(dir.join("cluster.sqlite")).unwrap().permissions().mode() & 0o777, 0o600);
    }
    cluster.shutdown().await;
}

#[tokio::test]
async fn ports_follow_the_first_or_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = Config::new(table("127.0.0.1"), dir.path());
    config.to.dcs.push(DcAddress { id: 2, ..config.to.dcs[0].clone() });
    config.listen.set_port(65535);
    assert!(matches!(Bridge::start(config).await, Err(StartError::Ports { base: 65535, count: 2 })));
}
