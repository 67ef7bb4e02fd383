package contract

import "reflect"

// GrantedEvents streams to a module the events that it may hear: of tenants where
// it is enabled, of the types that they consented to (scope events:<types>). The id
// of a message is its place: with Last-Event-ID a reader goes on where it was. On
// the bus a module reads them from a durable consumer: see Subscribe.
var GrantedEvents = RegisterStream[Event](AuditRead, Spec{
	Name: "audit.granted", Method: "GET", Path: "/api/v1/events/stream",
	Access:  Module,
	Summary: "Streams the events that a module may hear, as CloudEvents. The id of each is its place: with Last-Event-ID a reader goes on where it was, and misses nothing of the last three days.",
	Request: reflect.TypeFor[GrantedEventsRequest](),
})

// GrantedEventsRequest selects.
type GrantedEventsRequest struct {
	Types    string `json:"types,omitempty" query:"types" maxLength:"2000" pattern:"^[a-z0-9_*-]+([.][a-z0-9_*-]+)*(,[a-z0-9_*-]+([.][a-z0-9_*-]+)*)*$" patternDescription:"patterns of events' names, separated by commas" example:"tenant.unit.*,auth.**" doc:"Only events whose names match one of the patterns, separated by commas: * stands for one segment, ** at the end for all that follow."`
	TenantID ID     `json:"tenant_id,omitempty" query:"tenant_id" format:"uuid" doc:"Only events of this tenant."`
	After    *int64 `json:"after,omitempty" query:"after" minimum:"0" doc:"Begin behind this place, as Last-Event-ID does; 0 is the oldest that is kept, default is from now on."`
}

// Event is a CloudEvent in the structured mode of its JSON format.
type Event map[string]any

// Subscribe makes the caller's subscription on the bus.
var Subscribe = Register[SubscribeRequest, SubscribeResponse](AuditMutation, Spec{
	Name: "audit.subscribe", Method: "PUT", Path: "/api/v1/core/subscription",
	Access:  Module,
	Summary: "Makes the subscription of a module that is connected to the bus, unless there is one: a durable consumer of the events that it may hear. All of its processes share it, and each event is for one of them. One that is not used for three days ends.",
})

// SubscribeRequest says where a new subscription begins.
type SubscribeRequest struct {
	From string `json:"from,omitempty" enum:"new,all" default:"new" doc:"Where a subscription begins that there is none of yet: with what comes, or with all of the last three days."`
}

// BusAPI is the prefix under which a module reaches its durable consumer, in place
// of $JS.API.
const BusAPI = "CORE.API"

// SubscribeResponse names the durable consumer, which is reached under BusAPI.
type SubscribeResponse struct {
	Stream   string `json:"stream"`
	Consumer string `json:"consumer"`
	Created  bool   `json:"created" doc:"There was none: what was before it is not given, unless all of it was asked for."`
}

// Unsubscribe ends the caller's subscription on the bus.
var Unsubscribe = Register[Empty, Empty](AuditMutation, Spec{
	Name: "audit.unsubscribe", Method: "DELETE", Path: "/api/v1/core/subscription",
	Access:  Module,
	Summary: "Ends the subscription of a module that is connected to the bus, if there is one: what it has not read is not given to it again.",
})
