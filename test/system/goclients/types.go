package main

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// Activity and ActivityPolicy have the fields that this program looks at, as generated types would.
type Activity struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec              struct {
		Summary string `json:"summary"`
	} `json:"spec"`
}

type ActivityList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Activity `json:"items"`
}

type ActivityPolicy struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec              struct {
		KindLabel string `json:"kindLabel,omitempty"`
	} `json:"spec"`
}

type ActivityPolicyList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []ActivityPolicy `json:"items"`
}

func (one *Activity) DeepCopyObject() runtime.Object {
	copied := *one
	one.ObjectMeta.DeepCopyInto(&copied.ObjectMeta)
	return &copied
}

func (list *ActivityList) DeepCopyObject() runtime.Object {
	copied := *list
	copied.Items = nil
	for index := range list.Items {
		copied.Items = append(copied.Items, *list.Items[index].DeepCopyObject().(*Activity))
	}
	return &copied
}

func (one *ActivityPolicy) DeepCopyObject() runtime.Object {
	copied := *one
	one.ObjectMeta.DeepCopyInto(&copied.ObjectMeta)
	return &copied
}

func (list *ActivityPolicyList) DeepCopyObject() runtime.Object {
	copied := *list
	copied.Items = nil
	for index := range list.Items {
		copied.Items = append(copied.Items, *list.Items[index].DeepCopyObject().(*ActivityPolicy))
	}
	return &copied
}

func scheme() *runtime.Scheme {
	made := runtime.NewScheme()
	made.AddKnownTypes(groupVersion, &Activity{}, &ActivityList{}, &ActivityPolicy{}, &ActivityPolicyList{})
	metav1.AddToGroupVersion(made, groupVersion)
	return made
}

func newObject(resource string) runtime.Object {
	if resource == "activities" {
		return &Activity{}
	}
	return &ActivityPolicy{}
}

func newList(resource string) runtime.Object {
	if resource == "activities" {
		return &ActivityList{}
	}
	return &ActivityPolicyList{}
}
