package seal

import "patchbay.dev/shared/setting"

// FollowRing is [ReadRing] of a file that may change.
func FollowRing(file string) (*setting.File[*Ring], error) {
	return setting.ReadFile(func() (*Ring, error) { return ReadRing(file) }, file)
}

// FollowPublicKey is [ReadPublicKey] of a file that may change.
func FollowPublicKey(file string) (*setting.File[*PublicKey], error) {
	return setting.ReadFile(func() (*PublicKey, error) { return ReadPublicKey(file) }, file)
}

// FollowNewest follows the public half of the newest key in a file of private
// keys, for a process that has both.
func FollowNewest(file string) (*setting.File[*PublicKey], error) {
	return setting.ReadFile(func() (*PublicKey, error) {
		ring, err := ReadRing(file)
		if err != nil {
			return nil, err
		}
		return ring.Public(), nil
	}, file)
}
