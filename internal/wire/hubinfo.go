package wire

import (
	"encoding/json"
	"time"
)

// HubInfoBlob is the name of the blob in the Leases container that describes a hub whose
// partitions are managed through blobs.
const HubInfoBlob = "taskhub.json"

// HubInfo is the content of HubInfoBlob.
type HubInfo struct {
	TaskHubName    string
	CreatedAt      time.Time
	PartitionCount int
}

// DecodeHubInfo reads the content of HubInfoBlob.
func DecodeHubInfo(text string) (HubInfo, error) {
	var o struct {
		TaskHubName    looseText
		CreatedAt      looseText
		PartitionCount looseInt32
	}
	if err := json.Unmarshal([]byte(trimStart(text)), &o); err != nil {
		return HubInfo{}, malformed("hub info", "%s", problemOf(err))
	}
	info := HubInfo{TaskHubName: o.TaskHubName.String(), PartitionCount: int(o.PartitionCount.value)}
	if created := o.CreatedAt.String(); created != "" {
		t, err := ParseTime(created)
		if err != nil {
			return HubInfo{}, malformed("hub info", "CreatedAt %s is not a time", prefix(created))
		}
		info.CreatedAt = t
	}
	return info, nil
}
