package outbound

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// verdict returns the class for which g blocks an address, or "".
func verdict(t *testing.T, g *guard, address string) string {
	t.Helper()
	err := g.check(netip.MustParseAddr(address))
	if err == nil {
		return ""
	}
	blocked, ok := errors.AsType[*BlockedError](err)
	if !ok {
		t.Fatalf("%s: error is %#v, want a *BlockedError", address, err)
	}
	return blocked.Class
}

func TestGuardBlocksByDefault(t *testing.T) {
	t.Parallel()
	g := newGuard(nil)
	tests := map[string]string{ // class to addresses
		"": `8.8.8.8 1.1.1.1 10.0.0.1 10.255.255.255 172.16.0.1 172.31.255.255 192.168.0.1 9.255.255.255 11.0.0.0 172.15.255.255 172.32.0.0
			126.255.255.255 128.0.0.0 169.253.255.255 169.255.0.0 100.63.255.255 100.128.0.0 223.255.255.255
			2606:4700::1111 fc00::1 fd00::1 fdff::1 ::ffff:8.8.8.8 ::ffff:10.0.0.1`,
		"loopback":          "127.0.0.1 127.0.0.0 127.1.2.3 127.255.255.255 ::1 ::ffff:127.0.0.1 ::1%lo",
		"unspecified":       "0.0.0.0 :: ::ffff:0.0.0.0",
		"link-local":        "169.254.0.1 169.254.255.255 fe80::1 fe80::1%lo febf::1 ::ffff:169.254.1.1",
		"multicast":         "224.0.0.1 239.255.255.255 ff02::1 ff05::1 ff02::1%lo",
		"carrier-grade NAT": "100.64.0.1 100.127.255.255",
		"translated IPv4": `64:ff9b::8.8.8.8 64:ff9b::127.0.0.1 64:ff9b:1::8.8.8.8 2002:7f00:1:: 2002:808:808::1
			2001::1 2001:0:1:2:3:4:5:6 ::8.8.8.8 ::127.0.0.1`,
		"special-purpose": `0.0.0.1 0.255.255.255 255.255.255.255 240.0.0.1 198.18.0.1 198.19.255.255 192.0.0.1 192.0.2.1 198.51.100.1 203.0.113.1
			192.88.99.1 2001:db8::1 3fff::1 2001:2::1 2001:10::1 fec0::1 100::1 5f00::1 4000::1 ::ffff:0:127.0.0.1 ::ffff:240.0.0.1`,
		"cloud metadata": `169.254.169.254 169.254.170.2 169.254.170.23 100.100.100.200 168.63.129.16 192.0.0.192 fd00:ec2::254 fd00:ec2::23
			fd20:ce::254 fe80::a9fe:a9fe fe80::a9fe:a9fe%eth0 ::ffff:169.254.169.254 64:ff9b::169.254.169.254 64:ff9b:1::169.254.169.254
			64:ff9b:1:a9fe:a9:fe00:: 64:ff9b:1:a9:fe:a9fe:: 64:ff9b:1:0:a9:fea9:fe00:: 2002:a9fe:a9fe::1 2001::5601:5601 ::169.254.169.254`,
	}
	for want, addresses := range tests {
		for address := range strings.FieldsSeq(addresses) {
			if got := verdict(t, g, address); got != want {
				t.Errorf("%s is %q, want %q", address, got, want)
			}
		}
	}
}

func TestGuardOpensWhatIsConfigured(t *testing.T) {
	t.Parallel()
	const everything = "0.0.0.0/0 ::/0"
	tests := []struct{ cidrs, address, want string }{
		{"127.0.0.0/8", "127.0.0.1", ""},
		{"127.0.0.0/8", "::ffff:127.0.0.1", ""},
		{"127.0.0.0/8", "::1", "loopback"},
		{"127.0.0.2/32", "127.0.0.1", "loopback"},
		{"127.0.0.1/8", "127.9.9.9", ""}, // not masked
		{"::ffff:127.0.0.0/104", "127.0.0.1", ""},
		{"::1/128", "::1", ""},
		{"fe80::/10", "fe80::1%lo", ""},
		{"100.64.0.0/10", "100.64.0.1", ""},
		{everything, "0.0.0.0", ""},
		{everything, "::", ""},
		{everything, "255.255.255.255", ""},
		{everything, "2001:db8::1", ""},

		// A range of translated addresses opens for those whose own IPv4 address is open.
		{"64:ff9b::/96", "64:ff9b::8.8.8.8", ""},
		{"64:ff9b::/96", "64:ff9b::10.0.0.1", ""},
		{"64:ff9b::/96", "64:ff9b::127.0.0.1", "loopback"},
		{"2002::/16", "2002:7f00:1::", "loopback"},
		{"2002::/16", "2002:808:808::", ""},
		{"2001::/32", "2001::80ff:fffe", "loopback"},
		{"::/96", "::127.0.0.1", "loopback"},
		{"64:ff9b::/96 127.0.0.0/8", "64:ff9b::127.0.0.1", ""},
		{"64:ff9b:1::/48", "64:ff9b:1:808:8:800::", ""},

		// Metadata opens by a prefix of its own only.
		{everything, "169.254.169.254", metadataClass},
		{"169.254.0.0/16", "169.254.169.254", metadataClass},
		{"169.254.0.0/16", "169.254.169.253", ""},
		{"169.254.169.254/31", "169.254.169.254", metadataClass},
		{"169.254.169.254/32", "169.254.169.254", ""},
		{"169.254.169.254/32", "::ffff:169.254.169.254", ""},
		{"::ffff:169.254.169.254/128", "169.254.169.254", ""},
		{"169.254.169.254/32", "169.254.170.2", metadataClass},
		{"168.63.129.16/32", "168.63.129.16", ""},
		{"168.63.129.0/24", "168.63.129.16", metadataClass},
		{"100.64.0.0/10", "100.100.100.200", metadataClass},
		{"fc00::/7 fd00:ec2::/32", "fd00:ec2::254", metadataClass},
		{"fd00:ec2::254/128", "fd00:ec2::254", ""},
		{everything, "64:ff9b::169.254.169.254", metadataClass},
		{everything, "64:ff9b:1:a9fe:a9:fe00::", metadataClass},
		{everything, "2002:a9fe:a9fe::", metadataClass},
		{everything, "::169.254.169.254", metadataClass},
		{"64:ff9b::169.254.169.254/128", "64:ff9b::169.254.169.254", metadataClass},
		{"64:ff9b::/96 169.254.169.254/32", "64:ff9b::169.254.169.254", ""},
	}
	for _, test := range tests {
		if got := verdict(t, newGuard(prefixes(strings.Fields(test.cidrs)...)), test.address); got != test.want {
			t.Errorf("%s with %s open is %q, want %q", test.address, test.cidrs, got, test.want)
		}
	}
}

func TestBlockedErrorNamesTheSetting(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"127.0.0.1":       "127.0.0.1 (loopback) is blocked: PATCHBAY_ALLOWED_CIDRS does not open it",
		"169.254.169.254": "169.254.169.254 (cloud metadata) is blocked: PATCHBAY_ALLOWED_CIDRS does not name that address itself",
	}
	for address, want := range tests {
		if diff := cmp.Diff(want, newGuard(nil).check(netip.MustParseAddr(address)).Error()); diff != "" {
			t.Errorf("error (-want +got):\n%s", diff)
		}
	}
}

func FuzzGuardJudgesAllFormsOfAnIPv4AddressAlike(f *testing.F) {
	for _, s := range []string{"127.0.0.1", "10.0.0.1", "169.254.169.254", "8.8.8.8", "0.0.0.0", "168.63.129.16"} {
		a := netip.MustParseAddr(s).As4()
		f.Add(a[0], a[1], a[2], a[3])
	}
	// NAT64 is open, so that the address within decides.
	guards := []*guard{newGuard(prefixes("64:ff9b::/96")), newGuard(prefixes("64:ff9b::/96", "127.0.0.0/8", "169.254.0.0/16"))}
	f.Fuzz(func(t *testing.T, a, b, c, d byte) {
		v4 := netip.AddrFrom4([4]byte{a, b, c, d})
		for i, g := range guards {
			want := g.check(v4) == nil
			mapped := netip.AddrFrom16(v4.As16())
			translated := netip.MustParseAddr("64:ff9b::" + v4.String())
			for _, form := range []netip.Addr{mapped, mapped.WithZone("lo"), translated} {
				if got := g.check(form) == nil; got != want {
					t.Errorf("guard %d: %s allowed: %t, %s allowed: %t", i, form, got, v4, want)
				}
			}
		}
	})
}
