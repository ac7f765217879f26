package wire

import "encoding/json"

// AppLeaseInfo is the content of the blob that names the application holding a hub's app lease.
type AppLeaseInfo struct {
	// OwnerID is the lease ID of the holder, empty before the first acquisition.
	OwnerID string
	// DesiredSwapID is the lease ID of an application that wants to take the lease over.
	DesiredSwapID string
}

// EncodeAppLeaseInfo returns the content of the info blob; {} for a hub nobody has held yet.
func EncodeAppLeaseInfo(info AppLeaseInfo) string {
	w := &jsonWriter{}
	w.open("")
	if info != (AppLeaseInfo{}) {
		w.member("OwnerId", nullIfEmpty(info.OwnerID))
		w.member("DesiredSwapId", nullIfEmpty(info.DesiredSwapID))
	}
	w.end()
	return string(w.buf)
}

// DecodeAppLeaseInfo reads the content of the info blob.
func DecodeAppLeaseInfo(text string) (AppLeaseInfo, error) {
	var o struct {
		OwnerID       looseText `json:"OwnerId"`
		DesiredSwapID looseText `json:"DesiredSwapId"`
	}
	if err := json.Unmarshal([]byte(trimStart(text)), &o); err != nil {
		return AppLeaseInfo{}, malformed("app lease info", "%s", problemOf(err))
	}
	return AppLeaseInfo{OwnerID: o.OwnerID.String(), DesiredSwapID: o.DesiredSwapID.String()}, nil
}
