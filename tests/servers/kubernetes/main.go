// A Kubernetes API server with an etcd of its own in one process, for tests.
//
//	kubernetes FOLDER API-PORT ETCD-PORT [kube-apiserver's flags]
//
// All that it keeps is in FOLDER, where tokens.csv must be; apiserver.crt will be its certificate. It ends when its
// standard input does, so that it never outlives its parent.
package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/storage/wal"
	"k8s.io/component-base/cli"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
)

func main() {
	if len(os.Args) < 4 {
		fail(fmt.Errorf("usage: %s FOLDER API-PORT ETCD-PORT [kube-apiserver's flags]", os.Args[0]))
	}
	go endWithParent()
	folder, etcd := os.Args[1], "http://127.0.0.1:"+os.Args[3]
	if err := startEtcd(filepath.Join(folder, "etcd"), etcd); err != nil {
		fail(err)
	}
	key := filepath.Join(folder, "service-account.key")
	if err := writeKey(key); err != nil {
		fail(err)
	}
	command := app.NewAPIServerCommand()
	command.SetArgs(append([]string{
		"--secure-port=" + os.Args[2],
		"--etcd-servers=" + etcd,
		"--etcd-compaction-interval=0",
		"--cert-dir=" + folder,
		"--token-auth-file=" + filepath.Join(folder, "tokens.csv"),
		"--bind-address=127.0.0.1",
		"--advertise-address=127.0.0.1",
		"--endpoint-reconciler-type=none",
		"--service-cluster-ip-range=10.0.0.0/24",
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + key,
		"--service-account-signing-key-file=" + key,
		"--authorization-mode=RBAC",
		// Nobody makes the account `default` in a new namespace here, and pods need no token.
		"--disable-admission-plugins=ServiceAccount",
	}, os.Args[4:]...))
	os.Exit(cli.Run(command))
}

// startEtcd returns when etcd answers. It never waits for the disk: nothing of it is read again.
func startEtcd(folder, address string) error {
	client, err := url.Parse(address)
	if err != nil {
		return err
	}
	peer := url.URL{Scheme: "http", Host: "127.0.0.1:0"} // any port: the only member has no peers
	wal.SegmentSizeBytes = 4 << 20
	config := embed.NewConfig()
	config.Dir = folder
	config.LogLevel = "error"
	config.UnsafeNoFsync = true
	config.ListenClientUrls, config.AdvertiseClientUrls = []url.URL{*client}, []url.URL{*client}
	config.ListenPeerUrls, config.AdvertisePeerUrls = []url.URL{peer}, []url.URL{peer}
	config.InitialCluster = config.InitialClusterFromName(config.Name)
	server, err := embed.StartEtcd(config)
	if err != nil {
		return err
	}
	select {
	case <-server.Server.ReadyNotify():
		return nil
	case err := <-server.Err():
		return err
	case <-time.After(time.Minute):
		return fmt.Errorf("etcd in %s is not ready after a minute", folder)
	}
}

// writeKey makes the key that signs the tokens of service accounts.
func writeKey(path string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), 0o600)
}

func endWithParent() {
	io.Copy(io.Discard, os.Stdin)
	os.Exit(0)
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
