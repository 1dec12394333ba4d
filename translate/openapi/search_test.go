package openapi

import (
	"strings"
	"testing"

	"weir/translate"
)

// questions are plain questions over three APIs and the operation that answers each: "prefix|question|tool".
const questions = `
github|create an issue|issues_create
github|list the open issues of a repository|issues_list-for-repo
github|add a comment to an issue|issues_create-comment
github|close or edit an issue|issues_update
github|lock the conversation of an issue|issues_lock
github|add labels to an issue|issues_add-labels
github|assign people to an issue|issues_add-assignees
github|create a pull request|pulls_create
github|merge a pull request|pulls_merge
github|list the files of a pull request|pulls_list-files
github|request reviewers for a pull request|pulls_request-reviewers
github|list commits of a pull request|pulls_list-commits
github|create a repository in an organization|repos_create-in-org
github|delete a repository|repos_delete
github|get the contents of a file|repos_get-content
github|create or change a file in a repository|repos_create-or-update-file-contents
github|list branches|repos_list-branches
github|protect a branch|repos_update-branch-protection
github|list commits|repos_list-commits
github|compare two commits|repos_compare-commits
github|create a release|repos_create-release
github|upload a release asset|repos_upload-release-asset
github|get the latest release|repos_get-latest-release
github|list contributors of a repo|repos_list-contributors
github|fork a repository|repos_create-fork
github|add a collaborator|repos_add-collaborator
github|search code|search_code
github|search repositories|search_repos
github|find users|search_users
github|list workflow runs|actions_list-workflow-runs
github|cancel a workflow run|actions_cancel-workflow-run
github|download the logs of a workflow run|actions_download-workflow-run-logs
github|trigger a workflow dispatch|actions_create-workflow-dispatch
github|create a repository secret|actions_create-or-update-repo-secret
github|list my gists|gists_list
github|create a gist|gists_create
github|star a repository|activity_star-repo-for-authenticated-user
github|follow a user|users_follow
github|list members of an organization|orgs_list-members
github|list teams|teams_list
github|create a team|teams_create
github|list notifications|activity_list-notifications-for-authenticated-user
github|create a webhook for a repository|repos_create-webhook
github|create a milestone|issues_create-milestone
github|get rate limit status|rate-limit_get
github|render markdown|markdown_render
github|list licenses|licenses_get-all-commonly-used
github|create a git tag object|git_create-tag
github|create a blob|git_create-blob
github|list dependabot alerts for a repo|dependabot_list-alerts-for-repo
stripe|create a customer|PostCustomers
stripe|delete a customer|DeleteCustomersCustomer
stripe|search customers|GetCustomersSearch
stripe|refund a charge|PostRefunds
stripe|list refunds|GetRefunds
stripe|create a payment intent|PostPaymentIntents
stripe|confirm a payment intent|PostPaymentIntentsIntentConfirm
stripe|cancel a payment intent|PostPaymentIntentsIntentCancel
stripe|capture a payment intent|PostPaymentIntentsIntentCapture
stripe|create an invoice|PostInvoices
stripe|finalize an invoice|PostInvoicesInvoiceFinalize
stripe|send an invoice|PostInvoicesInvoiceSend
stripe|void an invoice|PostInvoicesInvoiceVoid
stripe|pay an invoice|PostInvoicesInvoicePay
stripe|create a subscription|PostSubscriptions
stripe|cancel a subscription|DeleteSubscriptionsSubscriptionExposedId
stripe|create a product|PostProducts
stripe|create a price|PostPrices
stripe|list balance transactions|GetBalanceTransactions
stripe|retrieve the balance|GetBalance
stripe|create a payout|PostPayouts
stripe|create a checkout session|PostCheckoutSessions
stripe|create a coupon|PostCoupons
stripe|create a payment link|PostPaymentLinks
stripe|submit evidence for a dispute|PostDisputesDispute
stripe|list disputes|GetDisputes
stripe|create a webhook endpoint|PostWebhookEndpoints
stripe|create a setup intent|PostSetupIntents
stripe|attach a payment method to a customer|PostPaymentMethodsPaymentMethodAttach
stripe|list events|GetEvents
kubernetes-2|create a pod|createCoreV1NamespacedPod
kubernetes-2|list pods in a namespace|listCoreV1NamespacedPod
kubernetes-2|read the log of a pod|readCoreV1NamespacedPodLog
kubernetes-2|delete a pod|deleteCoreV1NamespacedPod
kubernetes-2|evict a pod|createCoreV1NamespacedPodEviction
kubernetes-2|create a deployment|createAppsV1NamespacedDeployment
kubernetes-2|scale a deployment|replaceAppsV1NamespacedDeploymentScale
kubernetes-2|patch a deployment|patchAppsV1NamespacedDeployment
kubernetes-2|list nodes|listCoreV1Node
kubernetes-2|create a namespace|createCoreV1Namespace
kubernetes-2|read a secret|readCoreV1NamespacedSecret
kubernetes-2|create a config map|createCoreV1NamespacedConfigMap
kubernetes-2|list services in a namespace|listCoreV1NamespacedService
kubernetes-2|create a job|createBatchV1NamespacedJob
kubernetes-2|list cron jobs in a namespace|listBatchV1NamespacedCronJob
kubernetes-2|create an ingress|createNetworkingV1NamespacedIngress
kubernetes-2|delete a persistent volume claim|deleteCoreV1NamespacedPersistentVolumeClaim
kubernetes-2|create a role binding|createRbacAuthorizationV1NamespacedRoleBinding
kubernetes-2|read a stateful set|readAppsV1NamespacedStatefulSet
kubernetes-2|list events in a namespace|listCoreV1NamespacedEvent
`

// TestRecall asks plain questions: how often the operation that answers one is first, and among the first five.
func TestRecall(t *testing.T) {
	if testing.Short() {
		t.Skip("reads the largest descriptions")
	}
	indexes := make(map[string]*translate.Index)
	names := make(map[string][]string)
	asked, first, five := 0, 0, 0
	for line := range strings.Lines(strings.TrimSpace(questions)) {
		parts := strings.Split(strings.TrimSpace(line), "|")
		prefix, question, want := parts[0], parts[1], parts[2]
		if indexes[prefix] == nil {
			var documents []translate.Document
			for _, x := range translateText(t, corpus(t, prefix)[0], Spec{}).tools {
				documents = append(documents, x.Document)
				if key := translate.PortableName(x.Key); key != x.Name { // names that were cut
					names[prefix] = append(names[prefix], key)
					continue
				}
				names[prefix] = append(names[prefix], x.Name)
			}
			indexes[prefix] = translate.NewIndex(documents)
		}
		asked++
		at := -1
		var found []string
		for i, hit := range indexes[prefix].Search(question, 5, func(int) bool { return true }) {
			found = append(found, names[prefix][hit])
			if names[prefix][hit] == want {
				at = i
			}
		}
		if at == 0 {
			first++
		}
		if at >= 0 {
			five++
		} else {
			t.Logf("%s: %s is not in %v", question, want, found)
		}
	}
	t.Logf("%d questions: first %d %%, in the first five %d %%", asked, 100*first/asked, 100*five/asked)
	if 100*five < 92*asked {
		t.Error("fewer than 92 % are among the first five")
	}
}
